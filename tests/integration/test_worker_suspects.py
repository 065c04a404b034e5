"""Jobs that stalled, in a real worker: one at a time, marked, and found guilty by their mark."""

from __future__ import annotations

import asyncio

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Job, JobContext, Queue, Retry
from corral.worker.suspects import MAX_STALLS


async def stalled(queue: Queue, redis: Redis, job: Job, **fields: object) -> None:
    """As the sweep leaves it: waiting, having stalled once."""
    values = {"stc": 1, "ats": 1, "processedOn": 1, "pb": "dead"} | fields
    await redis.hset(queue.keys().job(job.id), mapping=values)


async def test_suspects_run_one_at_a_time_and_marked_while_others_run_beside_them(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    running, most, marks = set[str](), 0, list[str | None]()
    healthy_ran = asyncio.Event()

    @queue.job("suspect")
    async def suspect(job: JobContext) -> None:
        nonlocal most
        running.add(job.id)
        most = max(most, len(running))
        marks.append(await redis.hget(queue.keys().job(job.id), "corral:suspect"))
        await asyncio.wait_for(healthy_ran.wait(), 30)
        running.discard(job.id)

    @queue.job("healthy")
    async def healthy(job: JobContext) -> None:
        healthy_ran.set()

    jobs = [await queue.add("suspect") for _ in range(5)]
    for job in jobs:
        await stalled(queue, redis, job)
    last = await queue.add("healthy")
    start_worker(queue, concurrency=20)
    await last.result(timeout=30)
    for job in jobs:
        await job.result(timeout=30)
    assert (most, marks) == (1, ["2:1"] * 5)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"ats": 2, "stc": 2, "corral:suspect": "2:1"}, "failed"),
        ({"ats": 2, "stc": 2}, "completed"),  # it only waited for its turn in the process that died
        ({"ats": 3, "stc": 2, "corral:suspect": "2:1"}, "completed"),  # so it did, after a run of its own
        ({"ats": 9, "stc": MAX_STALLS}, "failed"),
    ],
)
async def test_who_is_guilty(
    make_queue: MakeQueue, redis: Redis, fields: dict[str, object], status: str
) -> None:
    queue = make_queue(retry=Retry(attempts=9))

    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    job = await queue.add("build")
    await stalled(queue, redis, job, **fields)
    await drain(queue)
    assert (await job.refresh()).status == status
    if status == "failed":
        assert "died or stalled" in str(job.failed_reason)
        assert await redis.hmget(queue.keys().job(job.id), "stc", "corral:suspect") == [None, None]


async def test_a_retry_after_an_ordinary_failure_is_marked_anew(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=Retry(attempts=2, backoff="fixed", delay=0))
    marks = []

    @queue.job("build")
    async def build(job: JobContext) -> None:
        marks.append(await redis.hget(queue.keys().job(job.id), "corral:suspect"))
        if job.attempt == 1:
            raise ValueError("no")

    job = await queue.add("build")
    await stalled(queue, redis, job)
    await drain(queue)
    assert ((await job.refresh()).status, marks) == ("completed", ["2:1", "3:1"])


async def test_a_healthy_job_has_no_mark(queue: Queue, redis: Redis) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    job = await queue.add("build")
    await drain(queue)
    assert await redis.hget(queue.keys().job(job.id), "corral:suspect") is None
