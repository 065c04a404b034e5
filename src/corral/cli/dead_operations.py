"""`corral dead retry | edit | discard | undo | purge | operations | stop`: what changes dead letters.

What concerns many shows its dry run first and asks. The command carries its operation to the end; stopped
with Ctrl-C, or killed, it leaves the rest to the workers of the queue.
"""

from __future__ import annotations

import sys
from typing import Literal

from corral.audit import local_actor
from corral.cli.breakers import read_rate
from corral.cli.dead import app, filter_of
from corral.cli.dead_shown import (
    follow,
    operation_fields,
    plain,
    show_operations,
    show_preview,
)
from corral.cli.jobs import queue_named, run_command
from corral.cli.output import console, errors, print_json
from corral.cli.queues import confirm
from corral.data import decode_json
from corral.dead import Filter, Target
from corral.errors import InvalidInput

__all__ = ["app"]  # of `corral.cli.dead`, with the commands of this file on it


@app.command
def retry(
    queue: str,
    *job_ids: str,
    group: str | None = None,
    all: bool = False,  # noqa: A002  # it is the option's name
    name: str | None = None,
    error: str | None = None,
    where: list[str] | None = None,
    within: float | None = None,
    rate: str = "",
    when_closed: str = "",
    dry_run: bool = False,
    background: bool = False,
    yes: bool = False,
    json: bool = False,
) -> int:
    """Run dead letters again, as if new: certain jobs, a group, what fits, or all.

    Parameters
    ----------
    queue: name of the queue
    job_ids: ids of jobs
    group: those of this group
    all: all of the queue
    name: only jobs of this name
    error: part of the reason
    where: path=value into the data; may be given again
    within: only those that failed in the last so many seconds
    rate: so many a second, as 500 or 500/s
    when_closed: only while the breaker of this name is closed; waits for it
    dry_run: only show what it would be about
    background: leave it to the workers at once
    yes: do not ask
    json: print JSON
    """
    target = _target(job_ids, group, all, filter_of(name, error, where, within))
    return _operate(
        "retry", queue, target, rate=rate, breaker=when_closed, dry_run=dry_run, background=background,
        yes=yes, json=json,
    )  # fmt: skip


@app.command
def discard(
    queue: str,
    *job_ids: str,
    group: str | None = None,
    all: bool = False,  # noqa: A002  # it is the option's name
    name: str | None = None,
    error: str | None = None,
    where: list[str] | None = None,
    within: float | None = None,
    rate: str = "",
    dry_run: bool = False,
    background: bool = False,
    yes: bool = False,
    json: bool = False,
) -> int:
    """Discard dead letters. `corral dead undo` brings them back for ten minutes.

    Parameters
    ----------
    queue: name of the queue
    job_ids: ids of jobs
    group: those of this group
    all: all of the queue
    name: only jobs of this name
    error: part of the reason
    where: path=value into the data; may be given again
    within: only those that failed in the last so many seconds
    rate: so many a second, as 500 or 500/s
    dry_run: only show what it would be about
    background: leave it to the workers at once
    yes: do not ask
    json: print JSON
    """
    target = _target(job_ids, group, all, filter_of(name, error, where, within))
    return _operate(
        "discard",
        queue,
        target,
        rate=rate,
        breaker="",
        dry_run=dry_run,
        background=background,
        yes=yes,
        json=json,
    )


@app.command
def edit(queue: str, job_id: str, data: str, *, retry: bool = True, json: bool = False) -> None:
    """Give a dead letter other data, and run it again. What it had at first is kept for a week.

    Parameters
    ----------
    queue: name of the queue
    job_id: the job's id
    data: JSON text, or - to read it from standard input
    retry: run it again
    json: print JSON
    """
    value = decode_json(sys.stdin.buffer.read() if data == "-" else data.encode())

    async def run() -> None:
        await queue_named(queue).dead.edit(job_id, value, retry=retry, actor=local_actor())
        if json:
            print_json({"queue": queue, "id": job_id, "retried": retry})
        else:
            console.print(f"{job_id}: edited{' and waits to run again' if retry else ''}.", markup=False)

    run_command(run())


@app.command
def undo(queue: str, operation: str, *, json: bool = False) -> None:
    """Bring back what an operation has discarded within the last ten minutes.

    Parameters
    ----------
    queue: name of the queue
    operation: id of the operation that discarded
    json: print JSON
    """

    async def run() -> None:
        desk = queue_named(queue).dead
        begun = await desk.undo(operation, actor=local_actor())
        await follow(desk.follow(begun.id), json=json)

    run_command(run())


@app.command
def purge(
    queue: str, *, older_than: float, dry_run: bool = False, yes: bool = False, json: bool = False
) -> None:
    """Remove old dead letters for good.

    Parameters
    ----------
    queue: name of the queue
    older_than: those that failed more than so many seconds ago
    dry_run: only count them
    yes: do not ask
    json: print JSON
    """

    async def count() -> None:
        found.append(await queue_named(queue).dead.purge(older_than=older_than, dry_run=True))

    async def remove() -> None:
        removed = await queue_named(queue).dead.purge(older_than=older_than, actor=local_actor())
        if json:
            print_json({"queue": queue, "removed": removed, "dryRun": False})
        else:
            console.print(f"{queue}: {removed:,} dead letters removed.", markup=False)

    found: list[int] = []
    run_command(count())
    if dry_run:
        if json:
            print_json({"queue": queue, "removed": found[0], "dryRun": True})
        else:
            console.print(f"{queue}: {found[0]:,} dead letters are that old.", markup=False)
        return
    warning = (
        f"{found[0]:,} dead letters of {queue} that are older than {older_than:g} s will be gone for good."
    )
    confirm(queue, warning, yes=yes)
    run_command(remove())


@app.command
def operations(queue: str, *, count: int = 20, json: bool = False) -> None:
    """Show the operations that began last, newest first.

    Parameters
    ----------
    queue: name of the queue
    count: show so many
    json: print a JSON list
    """

    async def run() -> None:
        show_operations(await queue_named(queue).dead.operations(count), json=json)

    run_command(run())


@app.command
def stop(queue: str, operation: str, *, json: bool = False) -> None:
    """Stop an operation. What was done stays done.

    Parameters
    ----------
    queue: name of the queue
    operation: its id
    json: print JSON
    """

    async def run() -> None:
        stopped = await queue_named(queue).dead.stop(operation, actor=local_actor())
        if json:
            print_json(operation_fields(stopped))
        else:
            told = (
                f"Operation {operation} is {stopped.state}: {stopped.moved:,} of {stopped.total:,} jobs done."
            )
            console.print(told, markup=False)

    run_command(run())


def _target(job_ids: tuple[str, ...], group: str | None, everything: bool, chosen: Filter) -> Target:
    """One of the ways to say which. Raises InvalidInput: nothing must ever mean all."""
    if everything and (job_ids or group or chosen.asked()):
        raise InvalidInput("--all goes alone.")
    if not everything and not job_ids and not group and not chosen.asked():
        raise InvalidInput("Say which: ids of jobs, --group, --name, --error, --where, --within, or --all.")
    by_filter = chosen if everything or chosen.asked() else None
    return Target(group=group or "", ids=job_ids, filter=by_filter)


def _operate(
    kind: Literal["retry", "discard"],
    queue: str,
    target: Target,
    *,
    rate: str,
    breaker: str,
    dry_run: bool,
    background: bool,
    yes: bool,
    json: bool,
) -> int:
    pace = read_rate(rate) if rate else None
    code = 0

    async def preview() -> None:
        found = await queue_named(queue).dead.preview(target)
        if json and dry_run:
            print_json(plain(found))
        elif not json:
            show_preview(found, kind)

    async def run() -> None:
        nonlocal code
        desk, actor = queue_named(queue).dead, local_actor()
        if kind == "retry":
            begun = await desk.retry_many(target, rate=pace, breaker=breaker, actor=actor)
        else:
            begun = await desk.discard_many(target, rate=pace, breaker=breaker, actor=actor)
        if not background:
            if not json:
                errors.print(
                    f"Operation {begun.id}. To end it: corral dead stop {queue} {begun.id}", markup=False
                )
            ended = await follow(desk.follow(begun.id), json=json)
            code = 0 if ended.state == "done" else 1
        elif json:
            print_json(operation_fields(begun))
        else:
            console.print(f"Operation {begun.id} has begun; workers of {queue} carry it on.", markup=False)

    if dry_run or not yes:
        run_command(preview())
    if dry_run:
        return 0
    if not target.ids or kind == "discard":
        confirm(queue, f"That is what `{kind}` is about.", yes=yes)
    run_command(run())
    return code
