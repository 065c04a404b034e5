"""`corral jobs add | status | logs | cancel`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

from cyclopts import App
from redis.exceptions import RedisError

from corral.adding import AddOptions
from corral.bullmq.connection import Address, close_shared_clients, shared_client
from corral.bullmq.discover import queue_names
from corral.bullmq.failures import as_corral_error
from corral.cancelling import Cancelled
from corral.cli.output import console, errors, moment, print_fields, print_json
from corral.errors import InvalidInput, JobNotFound, UnknownQueue
from corral.job import Job
from corral.policy import Retry
from corral.queue import Queue
from corral.queues import built_in
from corral.settings import Settings

app = App(name="jobs", help="Add jobs and look at them.")


@app.command
def add(
    queue: str,
    name: str,
    data: str = "null",
    *,
    delay: float | None = None,
    priority: int | None = None,
    attempts: int | None = None,
    idempotency_key: str | None = None,
    webhook: str | None = None,
    wait: float | None = None,
    json: bool = False,
) -> None:
    """Add a job. DATA is JSON, or - to read it from standard input.

    Parameters
    ----------
    queue: name of the queue
    name: name of the job
    data: JSON text, or -
    delay: seconds until it may start
    priority: lower runs first
    attempts: how often it is tried; without it, as the queue says
    idempotency_key: the same key gives the same job for 24 hours
    webhook: a URL that gets a signed POST when the job has ended
    wait: wait up to so many seconds for the result
    json: print JSON
    """
    raw = sys.stdin.buffer.read() if data == "-" else data.encode()
    options = AddOptions(delay=delay, priority=priority, idempotency_key=idempotency_key, webhook=webhook)
    target = queue_named(queue)
    if attempts is not None:
        options["retry"] = Retry(
            attempts=attempts,
            delays=target.retry.delays,
            delay=target.retry.delay,
            jitter=target.retry.jitter,
        )

    async def run() -> None:
        job = await target.add_json(name, raw, **options)
        answer: dict[str, Any] = {"id": job.id, "queue": job.queue, "name": name, "existed": job.existed}
        if wait is not None:
            if not json:
                errors.print(f"Job {job.id} is in {job.queue}; waiting for it …")
            await job.result(timeout=wait)
            await job.refresh()
            answer |= {"status": job.status, "result": job.result_value}
        if json:
            print_json(answer)
        else:
            if not job.existed:
                del answer["existed"]
            print_fields(f"Job {job.id}", answer)

    run_command(run())


@app.command
def status(job_id: str, *, queue: str | None = None, json: bool = False) -> None:
    """Show a job: its state, attempts, times, result or reason.

    Parameters
    ----------
    job_id: the job's id
    queue: its queue; without it, all built-in queues are asked
    json: print JSON
    """

    async def run() -> None:
        job = await find_job(job_id, queue)
        fields = {
            "id": job.id,
            "queue": job.queue,
            "name": job.name,
            "status": job.status,
            "progress": job.progress,
            "attemptsMade": job.attempts_made,
            "enqueuedAt": moment(job.enqueued_at),
            "startedAt": moment(job.started_at),
            "finishedAt": moment(job.finished_at),
            "processedBy": job.processed_by,
            "result": job.result_value,
            "failedReason": job.failed_reason,
        }
        if json:
            print_json(fields)
        else:
            print_fields(f"Job {job.id}", fields)

    run_command(run())


@app.command
def logs(job_id: str, *, queue: str | None = None, json: bool = False) -> None:
    """Print what a job logged, oldest first.

    Parameters
    ----------
    job_id: the job's id
    queue: its queue; without it, all built-in queues are asked
    json: print a JSON list
    """

    async def run() -> None:
        rows = await (await find_job(job_id, queue)).logs()
        if json:
            print_json(rows)
        else:
            for row in rows:
                console.print(row, markup=False)
            if not rows:
                errors.print(f"Job {job_id} has logged nothing.")

    run_command(run())


@app.command
def cancel(job_id: str, *, queue: str | None = None, reason: str = "", json: bool = False) -> int:
    """Cancel a job: one that waits is removed, one that runs is ended. Exit code 1: it was finished.

    Parameters
    ----------
    job_id: the job's id
    queue: its queue; without it, all built-in queues are asked
    reason: why; kept with the job
    json: print JSON
    """
    met: list[Cancelled] = []

    async def run() -> None:
        job = await find_job(job_id, queue)
        met.append(await job.cancel(reason))
        if json:
            print_json({"id": job.id, "queue": job.queue, "outcome": met[0]})
        else:
            console.print(f"Job {job.id} in {job.queue}: {_SAID[met[0]]}", markup=False)

    run_command(run())
    return 1 if met[0] is Cancelled.FINISHED else 0


_SAID = {
    Cancelled.REMOVED: "it had not started and is removed.",
    Cancelled.SIGNALLED: "it runs; its worker has been told to end it.",
    Cancelled.FINISHED: "it was finished already.",
}


def queue_named(name: str) -> Queue:
    """The built-in queue of this name, else any of this name: then its workers' policy counts, not ours."""
    try:
        return built_in(name)[name]
    except UnknownQueue:
        return Queue(name, retry=None)


async def all_queue_names() -> list[str]:
    """All that Redis holds under CORRAL_PREFIX. Raises RedisUnavailable."""
    settings = Settings.load()
    try:
        return await queue_names(shared_client(Address.resolve(settings=settings)), settings.prefix)
    except (RedisError, OSError) as error:
        raise as_corral_error(error, "its queues") from error


async def find_job(job_id: str, queue: str | None) -> Job:
    """The one job of this id. Raises JobNotFound, and InvalidInput if several queues have one."""
    queues = [queue_named(queue)] if queue else list(built_in().values())
    found = [job for job in await asyncio.gather(*(q.get(job_id) for q in queues)) if job is not None]
    if not found:
        places = ", ".join(q.name for q in queues)
        raise JobNotFound(f"There is no job {job_id} in {places}. Name its queue with --queue.")
    if len(found) > 1:
        places = ", ".join(job.queue for job in found)
        raise InvalidInput(f"Job {job_id} exists in {places}. Choose one with --queue.")
    return found[0]


def run_command(command: Coroutine[Any, Any, None]) -> None:
    """Run a command's coroutine in a loop of its own, and close what it opened."""

    async def run() -> None:
        try:
            await command
        finally:
            await close_shared_clients()

    asyncio.run(run())
