"""`corral jobs list | search | retry | promote | remove`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from rich.table import Table

from corral.cli.jobs import app, find_job, queue_named, run_command
from corral.cli.output import console, errors, moment, print_json, second
from corral.data import decode_json
from corral.errors import CorralError, InvalidData, InvalidInput
from corral.job import Job
from corral.queue import Queue

__all__ = ["app"]  # of `corral.cli.jobs`, with the commands of this file on it

#: Jobs that `search` looks at between two reports of how far it is.
SCAN = 10_000


@app.command(name="list")
def list_jobs(
    queue: str,
    state: str = "waiting",
    *,
    start: int = 0,
    count: int = 20,
    oldest_first: bool = False,
    json: bool = False,
) -> None:
    """List jobs of one state.

    Parameters
    ----------
    queue: name of the queue
    state: waiting, prioritized, active, delayed, completed, failed or waiting-children
    start: leave out so many
    count: show so many
    oldest_first: in the order they run in or have finished
    json: print a JSON list
    """

    async def run() -> None:
        target = queue_named(queue)
        jobs = await target.browse.jobs(state, start=start, count=count, newest_first=not oldest_first)
        _show(jobs, json=json)

    run_command(run())


@app.command
def search(
    queue: str,
    *,
    state: list[str] | None = None,
    name: str | None = None,
    id: str | None = None,  # noqa: A002  # it is the option's name
    error: str | None = None,
    where: list[str] | None = None,
    within: float | None = None,
    limit: int = 20,
    json: bool = False,
) -> None:
    """Search a queue's jobs.

    Parameters
    ----------
    queue: name of the queue
    state: only jobs of this state; may be given again; without it, all states
    name: only jobs of this name
    id: part of the id
    error: part of the reason of a failure
    where: path=value into the data, as userId=7 or items.0.sku=A1; may be given again, then all must fit
    within: only jobs added in the last so many seconds
    limit: stop after so many
    json: print one JSON document
    """
    wanted: dict[str, Any] = {"name": name, "id": id, "error": error, "where": read_conditions(where or [])}
    if state:
        wanted["states"] = state
    if within is not None:
        wanted["added_after"] = time.time() - within

    async def run() -> None:
        target = queue_named(queue)
        jobs: list[Job] = []
        cursor: str | None = None
        while True:
            page = await target.browse.search(**wanted, limit=limit - len(jobs), scan=SCAN, cursor=cursor)
            jobs += page.jobs
            cursor = page.cursor
            if cursor is None or len(jobs) >= limit:
                break
            if not json:
                errors.print(f"Searched {page.searched:,} of {page.total:,} …", end="\r")
        if json:
            summary = {"searched": page.searched, "total": page.total, "complete": cursor is None}
            print_json({"jobs": [_fields(job) for job in jobs], **summary})
            return
        _show(jobs, json=False)
        errors.print(f"Searched {page.searched:,} of {page.total:,} jobs, found {len(jobs):,}.")

    run_command(run())


@app.command
def retry(
    *job_ids: str,
    queue: str | None = None,
    all: bool = False,  # noqa: A002  # it is the option's name
    name: str | None = None,
    limit: int | None = None,
    json: bool = False,
) -> int:
    """Run failed or completed jobs again, as if new. Each keeps its priority.

    Parameters
    ----------
    job_ids: ids of jobs
    queue: their queue; without it, all built-in queues are asked
    all: all failed jobs of --queue instead
    name: with --all, only jobs of this name
    limit: with --all, at most so many, the oldest first
    json: print JSON
    """

    async def every(target: Queue) -> int:
        return await target.admin.retry_all(name=name, limit=limit)

    return _each(job_ids, queue, all, every, lambda q, i: q.admin.retry(i), "retried", json=json)


@app.command
def promote(
    *job_ids: str,
    queue: str | None = None,
    all: bool = False,  # noqa: A002  # it is the option's name
    name: str | None = None,
    limit: int | None = None,
    json: bool = False,
) -> int:
    """Let delayed jobs wait no longer. Each keeps its priority.

    Parameters
    ----------
    job_ids: ids of jobs
    queue: their queue; without it, all built-in queues are asked
    all: all delayed jobs of --queue instead
    name: with --all, only jobs of this name
    limit: with --all, at most so many
    json: print JSON
    """

    async def every(target: Queue) -> int:
        return await target.admin.promote_all(name=name, limit=limit)

    return _each(job_ids, queue, all, every, lambda q, i: q.admin.promote(i), "promoted", json=json)


@app.command
def remove(*job_ids: str, queue: str | None = None, children: bool = True, json: bool = False) -> int:
    """Remove jobs, whatever state they are in, but not while they run.

    Parameters
    ----------
    job_ids: ids of jobs
    queue: their queue; without it, all built-in queues are asked
    children: remove their children too
    json: print JSON
    """
    return _each(
        job_ids, queue, False, None, lambda q, i: q.admin.remove(i, children=children), "removed", json=json
    )


def _each(
    job_ids: tuple[str, ...],
    queue: str | None,
    everything: bool,
    all_at_once: Callable[[Queue], Awaitable[int]] | None,
    change: Callable[[Queue, str], Awaitable[None]],
    done: str,
    *,
    json: bool,
) -> int:
    """Change jobs one by one, or all at once. Exit code 1 if one of them could not be changed."""
    if bool(job_ids) == everything or (everything and queue is None):
        raise InvalidInput("Give ids of jobs" + (", or --all with --queue." if all_at_once else "."))
    refused: dict[str, str] = {}
    changed: list[str] = []

    async def run() -> None:
        if everything and all_at_once is not None and queue is not None:
            count = await all_at_once(queue_named(queue))
            if json:
                print_json({"queue": queue, done: count})
            else:
                console.print(f"{queue}: {count:,} jobs {done}.", markup=False)
            return
        for job_id in job_ids:
            try:
                target = queue_named(queue) if queue else queue_named((await find_job(job_id, None)).queue)
                await change(target, job_id)
                changed.append(job_id)
            except CorralError as error:
                refused[job_id] = error.message
        if json:
            print_json({done: changed, "refused": refused})
            return
        for job_id in changed:
            console.print(f"{job_id}: {done}.", markup=False)
        for message in refused.values():
            errors.print(message, style="red", markup=False)

    run_command(run())
    return 1 if refused else 0


def read_conditions(conditions: list[str]) -> dict[str, Any]:
    """`userId=7` looks for the number, `userId="7"` for the text; what is not JSON is text."""
    result: dict[str, Any] = {}
    for condition in conditions:
        path, equals, text = condition.partition("=")
        if not path or not equals:
            raise InvalidInput(f"--where {condition!r}: write path=value, as userId=7.")
        try:
            result[path] = decode_json(text.encode())
        except InvalidData:
            result[path] = text
    return result


def _fields(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "status": job.status,
        "attemptsMade": job.attempts_made,
        "enqueuedAt": moment(job.enqueued_at),
        "finishedAt": moment(job.finished_at),
        "failedReason": job.failed_reason,
    }


def _show(jobs: list[Job], *, json: bool) -> None:
    """Without their data, which may be personal."""
    if json:
        print_json([_fields(job) for job in jobs])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "name", "status", "attempts", "added", "finished", "reason"):
        table.add_column(column, overflow="fold")
    for job in jobs:
        fields = [
            job.id,
            job.name,
            job.status or "",
            str(job.attempts_made),
            second(job.enqueued_at),
            second(job.finished_at),
            (job.failed_reason or "")[:120],
        ]
        # Whatever a producer called its job: no markup.
        table.add_row(*[field.replace("[", "\\[") for field in fields])
    console.print(table)
