"""`await drain(queue)`: a real worker runs what is enqueued, and says how each job ended.

With `with_delayed` what is to run later runs now: delayed jobs and the waits between attempts, so that a
whole story of retries takes milliseconds. Left where they are: next runs of schedules, which would follow
each other for ever (`queue.schedules.run_now` runs one), jobs in a durable wait, which a signal wakes, and
jobs that no handler of the queue knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from corral.bullmq import admin, stream
from corral.bullmq.cancel import CANCELLED
from corral.bullmq.keys import signal_key
from corral.context import WAIT_FIELD, JobContext, Suspended, Wait
from corral.data import decode_json
from corral.errors import ConfigurationError, JobFailed, NotDrained
from corral.queue import Queue
from corral.testing.replacing import replaced_resources
from corral.worker.ending import UNKNOWN_FIELD
from corral.worker.worker import Worker

#: What the ids of a schedule's runs begin with.
_OF_SCHEDULE = "repeat:"


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that ended for good."""

    queue: str
    id: str
    #: "" for one that was removed at its end and whose handler never ran.
    name: str
    #: The return value as plain JSON.
    result: Any = None
    #: Why it failed; None if it completed.
    reason: str | None = None
    #: Stack traces of its attempts as kept, the last at the end.
    trace: str = field(default="", repr=False)
    #: What the handler raised last; None where it never ran.
    error: BaseException | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Drained:
    """How the jobs ended, in that order."""

    completed: tuple[Ended, ...]
    failed: tuple[Ended, ...]
    #: Jobs that are still delayed.
    delayed: int


async def drain(
    *queues: Queue,
    timeout: float = 30.0,  # noqa: ASYNC109  # part of the public contract
    with_delayed: bool = False,
    raises: bool = False,
    resources: Sequence[Callable[..., Any]] = (),
    concurrency: int = 20,
) -> Drained:
    """Run a worker until nothing waits or runs in these queues.

    timeout: seconds for all of it; then NotDrained says what is left.
    with_delayed: bring forward what is delayed, until nothing is.
    raises: raise what the first failed job raised, with its traceback; JobFailed where that is not known.
    resources: functions as for `@queue.resource`, which take the place of those that give the same type.
    """
    if not queues:
        raise ConfigurationError("drain() needs at least one queue: await drain(my_queue).")
    raised: dict[tuple[str, str], tuple[str, BaseException | None]] = {}

    async def remember(job: JobContext, run: Callable[[], Awaitable[Any]]) -> Any:
        raised[job.queue, job.id] = (job.name, None)
        try:
            return await run()
        except (Suspended, asyncio.CancelledError):  # a wait; a time limit or a cancellation
            raise
        except BaseException as error:
            raised[job.queue, job.id] = (job.name, error)
            raise

    positions = [(await stream.ends(queue.client(), queue.keys())).last for queue in queues]
    give_up_at = time.monotonic() + timeout
    with replaced_resources(queues, resources):
        while True:
            worker = _Worker(*queues, concurrency=concurrency, middleware=[remember])
            if not await _ran_empty(worker, give_up_at - time.monotonic()):
                raise NotDrained(f"Not drained within {timeout:g} s. Left: {await _left(queues)}.")
            if not with_delayed or not sum([await _bring_forward(queue) for queue in queues]):
                break
    ends = [
        end
        for queue, position in zip(queues, positions, strict=True)
        for end in await _ends(queue, position, raised)
    ]
    ends.sort(key=lambda end: end[0])
    found = [end for _, end in ends]
    drained = Drained(
        completed=tuple(end for end in found if end.reason is None),
        failed=tuple(end for end in found if end.reason is not None),
        delayed=sum([(await queue.counts())["delayed"] for queue in queues]),
    )
    if raises and drained.failed:
        _raise(drained.failed[0])
    return drained


class _Worker(Worker):
    """Ctrl-C ends the tests at once, as ever."""

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        yield


async def _ran_empty(worker: Worker, seconds: float) -> bool:
    """Run a worker until its queues are empty; False: they were not in time, and their jobs are put back."""
    running = asyncio.create_task(worker.run(until_empty=True))
    try:
        await asyncio.wait([running], timeout=max(0.0, seconds))
        if running.done():
            running.result()
            return True
        worker.stop()
        worker.stop()  # no grace
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return False


async def _left(queues: Sequence[Queue]) -> str:
    return "; ".join([f"{queue.name!r}: {_counts_text(await queue.counts())}" for queue in queues])


def _raise(first: Ended) -> None:
    trace = f"\n{first.trace}" if first.trace else ""
    if first.error is not None:
        first.error.add_note(f"Raised by job {first.id} ({first.name!r}) of queue {first.queue!r}.")
        raise first.error
    raise JobFailed(f"Job {first.id} in {first.queue!r} failed: {first.reason}{trace}")


async def _ends(
    queue: Queue, after: stream.Position, raised: dict[tuple[str, str], tuple[str, BaseException | None]]
) -> list[tuple[stream.Position, Ended]]:
    """Jobs that ended after a position in the queue's events."""
    found: list[tuple[stream.Position, Ended]] = []
    with queue.redis_errors():
        while True:
            _, entries = await stream.look(queue.client(), queue.keys(), after)
            if not entries:
                return found
            for position, event in entries:
                after = position
                if event.get("event") in ("completed", "failed"):
                    found.append((position, await _end(queue, event, raised)))


async def _end(
    queue: Queue, event: dict[str, str], raised: dict[tuple[str, str], tuple[str, BaseException | None]]
) -> Ended:
    job_id = event.get("jobId", "")
    name, error = raised.get((queue.name, job_id), ("", None))
    if event["event"] == "completed":
        if not name and (job := await queue.get(job_id)) is not None:
            name = job.name
        return Ended(queue.name, job_id, name, result=decode_json(event.get("returnvalue", "null").encode()))
    reason, trace = event.get("failedReason", "no reason was given"), ""
    job = await queue.get(job_id)
    if job is not None:
        name, trace = job.name, "\n".join(job.stacktrace)
    if reason.startswith(CANCELLED):
        error = None
    return Ended(queue.name, job_id, name, reason=reason, trace=trace, error=error)


async def _bring_forward(queue: Queue) -> int:
    """Let delayed jobs run now, but for those that wait for a signal or belong to a schedule."""
    with queue.redis_errors():
        client, keys = queue.client(), queue.keys()
        found: Any = await client.zrange(keys.delayed, 0, -1)
        ids = [job_id.decode() for job_id in found if not job_id.startswith(_OF_SCHEDULE.encode())]
        stay = await _to_stay(queue, ids)
        ids = [job_id for job_id in ids if job_id not in stay]
        moved = 0
        for start in range(0, len(ids), admin.BATCH):
            part = ids[start : start + admin.BATCH]
            moved += (await admin.requeue(client, keys, "delayed", ids=part)).moved
        return moved


async def _to_stay(queue: Queue, ids: Sequence[str]) -> set[str]:
    """Jobs that would be back at once: those that a signal would wake, and those that no handler knows."""
    client, keys = queue.client(), queue.keys()
    pipe = client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hmget(keys.job(job_id), WAIT_FIELD, UNKNOWN_FIELD)
    rows = list(zip(ids, await pipe.execute(), strict=True))
    # The job's own field stays when the wait is over; what the signal knows of it does not.
    noted = [(job_id, wait) for job_id, (wait, _) in rows if wait]
    for _, raw in noted:
        wait = msgspec.json.decode(raw, type=Wait)
        pipe.hexists(signal_key(keys.prefix, wait.signal), f"waiter:{keys.job(job_id)}")
    waiters = await pipe.execute()
    return {job_id for job_id, (_, unknown) in rows if unknown} | {
        job_id for (job_id, _), waits in zip(noted, waiters, strict=True) if waits
    }


def _counts_text(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "empty"
