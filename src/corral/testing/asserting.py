"""What is enqueued: lists and assertions for tests.

Enqueued is what has been added and has not started, delayed jobs, retries and parents that wait for children
included; what runs or has ended is not. Every call reads the whole queue: for a test's queue, not a busy one.
"""

from __future__ import annotations

import asyncio
import time
from typing import Unpack

from corral.browse import MAX_PAGE
from corral.bullmq.grouping import GROUP_FIELD, LOCK
from corral.data import decode_json
from corral.job import Job
from corral.queue import Queue
from corral.testing.matching import Enqueued, Wanted, misses, missing, unwanted

STATES = ("waiting", "delayed", "waiting-children")

#: Between two looks of an assertion that waits, in seconds.
LOOK_SECONDS = 0.01


async def enqueued(queue: Queue, name: str | None = None) -> list[Enqueued]:
    """Jobs that wait to run, those of one name or all, in the order they were added."""
    found: dict[str, Job] = {}
    for state in STATES:
        start = 0
        while jobs := await queue.browse.jobs(state, start=start, count=MAX_PAGE, newest_first=False):
            found |= {job.id: job for job in jobs}
            start += MAX_PAGE
    pipe = queue.client().pipeline(transaction=False)
    for job_id in found:
        pipe.hmget(queue.keys().job(job_id), GROUP_FIELD, "delay", "priority")
    with queue.redis_errors():
        rows = await pipe.execute()
    result = [_enqueued(job, row) for job, row in zip(found.values(), rows, strict=True)]
    result.sort(key=lambda job: (job.enqueued_at, len(job.id), job.id))
    return [job for job in result if name is None or job.name == name]


def _enqueued(job: Job, row: tuple[bytes | None, bytes | None, bytes | None]) -> Enqueued:
    group, delay, priority = row
    text = None if group is None else group.decode()
    # A job that waits in its group lies among those that wait for children, on the wire.
    status = "waiting" if job.status == "waiting-children" and text is not None else str(job.status)
    return Enqueued(
        id=job.id,
        name=job.name,
        data=job.data,
        status=status,
        delay=int(delay or 0) / 1000,
        priority=int(priority or 0),
        group=None if text is None or text.startswith(LOCK) else text,
        enqueued_at=job.enqueued_at or 0.0,
        json=decode_json(job.raw_data),
    )


async def assert_enqueued(
    queue: Queue, name: str, *, count: int | None = None, within: float = 0.0, **wanted: Unpack[Wanted]
) -> list[Enqueued]:
    """At least one job of this name is enqueued and is as wanted. Returns all that are.

    count: exactly so many. within: seconds in which it may still come.
    wanted: data (a mapping names a part of it), delay, priority, group; see Wanted.
    Raises AssertionError, which lists what is enqueued, the nearest first.
    """
    give_up_at = time.monotonic() + within
    while True:
        jobs = await enqueued(queue)
        fitting = [job for job in jobs if not misses(job, name, wanted)]
        if len(fitting) == count if count is not None else fitting:
            return fitting
        if time.monotonic() >= give_up_at:
            raise AssertionError(missing(queue.name, jobs, name, wanted, count))
        await asyncio.sleep(LOOK_SECONDS)


async def assert_not_enqueued(queue: Queue, name: str | None = None, **wanted: Unpack[Wanted]) -> None:
    """No job of this name that is so is enqueued; without a name, none at all.

    Raises AssertionError, which lists those that are.
    """
    jobs = await enqueued(queue)
    fitting = [job for job in jobs if not misses(job, job.name if name is None else name, wanted)]
    if fitting:
        raise AssertionError(unwanted(queue.name, jobs, fitting, name, wanted))
