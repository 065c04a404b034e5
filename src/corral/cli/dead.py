"""`corral dead [groups] | list | show | export | policy | resolve | reopen | ignore | note`: the dead letter
desk.

What changes jobs is in `dead_operations`, whose commands hang on the same `app`.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import msgspec
from cyclopts import App

from corral.audit import local_actor, record
from corral.bullmq.connection import Address, shared_client
from corral.bullmq.dead_groups import queues_with_groups
from corral.bullmq.discover import queue_names
from corral.cli.dead_shown import plain, show_groups, show_jobs, show_letter
from corral.cli.jobs import queue_named, run_command
from corral.cli.jobs_manage import read_conditions
from corral.cli.output import console, errors, print_fields, print_json
from corral.dead import Filter, Group, Target
from corral.deadletters.groups import State
from corral.errors import InvalidInput
from corral.settings import Settings

app = App(name="dead", help="The dead letter desk: what failed, why, and what to do with it.")


@app.default
@app.command(name="groups")
def groups(*queues: str, state: list[State] | None = None, json: bool = False) -> None:
    """Show failed jobs in groups of one kind each, those seen last first. Without names: of all queues.

    Parameters
    ----------
    queues: names of queues
    state: only groups that are open, resolved or ignored; may be given again; default: open
    json: print JSON
    """
    wanted: tuple[State, ...] = tuple(state) if state else ("open",)

    async def run() -> None:
        names = list(queues)
        if not names:
            settings = Settings.load()
            client = shared_client(Address.resolve(settings=settings))
            found = await queue_names(client, settings.prefix)
            names = sorted({*found, *await queues_with_groups(client, settings.prefix)})
        pages = [await queue_named(name).dead.groups(states=wanted) for name in names]
        shown: list[Group] = sorted(
            (group for page in pages for group in page.groups if group.count or group.state != "open"),
            key=lambda group: group.last_seen,
            reverse=True,
        )
        show_groups(shown, {page.queue: page.standing for page in pages}, json=json)

    run_command(run())


@app.command(name="list")
def list_jobs(
    queue: str,
    *,
    group: str | None = None,
    name: str | None = None,
    error: str | None = None,
    where: list[str] | None = None,
    within: float | None = None,
    start: int = 0,
    count: int = 20,
    json: bool = False,
) -> None:
    """List dead letters, the newest first.

    Parameters
    ----------
    queue: name of the queue
    group: only those of this group
    name: only jobs of this name
    error: part of the reason
    where: path=value into the data, as userId=7; may be given again, then all must fit
    within: only those that failed in the last so many seconds
    start: leave out so many
    count: show so many
    json: print a JSON list
    """
    chosen = filter_of(name, error, where, within)

    async def run() -> None:
        desk = queue_named(queue).dead
        if not chosen.asked():
            show_jobs(await desk.jobs(group, start=start, count=count), json=json)
            return
        if group:
            raise InvalidInput("Give --group, or --name, --error, --where and --within.")
        page = await desk.search(chosen, limit=start + count, scan=sys.maxsize)
        show_jobs(page.jobs[start:], json=json)

    run_command(run())


@app.command
def show(queue: str, job_id: str, *, data: bool = False, rows: int = 100, json: bool = False) -> None:
    """Show a dead letter: each attempt with its error, the log, times, and what stands behind it.

    Parameters
    ----------
    queue: name of the queue
    job_id: the job's id
    data: show its data and checkpoint too, which may be personal
    rows: so many of the last rows of its log
    json: print JSON
    """

    async def run() -> None:
        show_letter(await queue_named(queue).dead.show(job_id, log_rows=rows), data=data, json=json)

    run_command(run())


@app.command
def export(
    queue: str,
    *,
    group: str | None = None,
    name: str | None = None,
    error: str | None = None,
    where: list[str] | None = None,
    within: float | None = None,
    output: str = "-",
    redact: bool = False,
    json: bool = False,
) -> None:
    """Write dead letters as JSON lines, the newest first.

    Parameters
    ----------
    queue: name of the queue
    group: those of this group; else those that fit
    name: only jobs of this name
    error: part of the reason
    where: path=value into the data; may be given again
    within: only those that failed in the last so many seconds
    output: a file; -: standard output
    redact: without the values of their data, their reasons and traces
    json: print how many as JSON, with --output
    """
    chosen = filter_of(name, error, where, within)
    target = Target(group=group) if group else Target(filter=chosen)

    async def run() -> None:
        source = queue_named(queue)
        written = 0
        async for row in source.dead.export(target, redact=redact):
            file.write(msgspec.json.encode(row).decode() + "\n")
            written += 1
        with source.redis_errors():
            await record(
                source.client(), source.keys().prefix, local_actor(), "dead.export", queue,
                {"jobs": written, "redacted": redact},
            )  # fmt: skip
        if json and output != "-":
            print_json({"queue": queue, "jobs": written, "output": output})
        else:
            errors.print(f"{written:,} dead letters written.")

    with nullcontext(sys.stdout) if output == "-" else Path(output).open("w", encoding="utf-8") as file:
        run_command(run())


@app.command
def policy(queue: str, *, json: bool = False) -> None:
    """Show how long dead letters of a queue stay.

    Parameters
    ----------
    queue: name of the queue
    json: print JSON
    """

    async def run() -> None:
        found = plain(await queue_named(queue).dead.policy())
        if json:
            print_json(found)
        else:
            print_fields(queue, found)

    run_command(run())


@app.command
def resolve(queue: str, group: str, *, json: bool = False) -> None:
    """Say that what made a group fail is repaired. It opens again with its next failure.

    Parameters
    ----------
    queue: name of the queue
    group: id of the group
    json: print JSON
    """
    _say(queue, group, "resolved", json=json)


@app.command
def reopen(queue: str, group: str, *, json: bool = False) -> None:
    """Take a resolve or an ignore back.

    Parameters
    ----------
    queue: name of the queue
    group: id of the group
    json: print JSON
    """
    _say(queue, group, "open", json=json)


@app.command
def ignore(
    queue: str, group: str, *, hours: float | None = None, failures: int | None = None, json: bool = False
) -> None:
    """Do not show a group as open for a while.

    Parameters
    ----------
    queue: name of the queue
    group: id of the group
    hours: for so long
    failures: until so many further failures
    json: print JSON
    """
    until = None if hours is None else time.time() + hours * 3600
    _say(queue, group, "ignored", until=until, failures=failures, json=json)


@app.command
def note(queue: str, group: str, text: str = "", *, json: bool = False) -> None:
    """Write something down about a group, or read what was written.

    Parameters
    ----------
    queue: name of the queue
    group: id of the group
    text: the note; without it, the notes are shown
    json: print a JSON list
    """

    async def run() -> None:
        desk = queue_named(queue).dead
        notes = await desk.note(group, text, actor=local_actor()) if text else await desk.notes(group)
        if json:
            print_json(notes)
            return
        for written in notes:
            console.print(f"{written.by}: {written.text}", markup=False)

    run_command(run())


def _say(
    queue: str,
    group: str,
    state: Literal["open", "resolved", "ignored"],
    *,
    until: float | None = None,
    failures: int | None = None,
    json: bool,
) -> None:
    async def run() -> None:
        desk, actor = queue_named(queue).dead, local_actor()
        if state == "resolved":
            changed = await desk.resolve(group, actor=actor)
        elif state == "open":
            changed = await desk.reopen(group, actor=actor)
        else:
            changed = await desk.ignore(group, until=until, failures=failures, actor=actor)
        if json:
            print_json(plain(changed) | {"title": changed.title})
        else:
            console.print(f"{queue} {group}: {changed.state}.", markup=False)

    run_command(run())


def filter_of(name: str | None, error: str | None, where: list[str] | None, within: float | None) -> Filter:
    """The options of several commands as a filter."""
    return Filter(
        name=name,
        error=error,
        where=read_conditions(where or []),
        finished_after=None if within is None else time.time() - within,
    )
