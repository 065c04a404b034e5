"""A job that was given up for killing its workers starts afresh when an operator retries it."""

from __future__ import annotations

from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Dedup, Job, JobContext, Queue, Retry
from corral.bullmq.scripts import official


async def killer(queue: Queue, redis: Redis, **options: Any) -> Job:
    """A job that killed its worker twice."""
    job = await queue.add("build", **options)
    await redis.hset(queue.keys().job(job.id), mapping={"stc": 2, "ats": 2, "corral:suspect": "2:1"})
    return job


async def retry_by_hand(queue: Queue, job: Job) -> None:
    """What Bull Board and `job.retry()` of BullMQ call."""
    k = queue.keys()
    keys = [k.job(job.id), k.events, k.failed, k.wait, k.meta, k.active, k.marker, k.prioritized, k.pc]
    code = await official("reprocessJob")(
        queue.client(), keys, job.id, "LPUSH", "failedReason", "failed", "0", "0"
    )
    assert code == 1


@pytest.mark.parametrize("options", [{}, {"dedup": Dedup.simple("a")}], ids=["plain", "not plain"])
async def test_a_job_given_up_for_killing_has_its_stall_budget_back(
    make_queue: MakeQueue, redis: Redis, options: dict[str, object]
) -> None:
    queue = make_queue(retry=Retry(attempts=9))
    runs = 0

    @queue.job("build")
    async def build(job: JobContext) -> None:
        nonlocal runs
        runs += 1

    job = await killer(queue, redis, **options)
    await drain(queue)
    await job.refresh()
    assert (job.status, runs) == ("failed", 0)
    assert job.failed_reason is not None
    assert "died or stalled 2 times" in job.failed_reason
    assert await redis.hmget(queue.keys().job(job.id), "stc", "corral:suspect") == [None, None]

    await retry_by_hand(queue, job)
    await redis.hset(queue.keys().job(job.id), "stc", 1)  # it kills one more
    await drain(queue)
    assert ((await job.refresh()).status, runs) == ("completed", 1)


async def test_a_sentence_of_bullmqs_own_check_counts_the_same(
    queue: Queue, redis: Redis, start_worker: StartWorker
) -> None:
    """With another limit than ours, say: the count is below ours, the sentence stands."""

    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    job = await queue.add("build")
    sentence = "job stalled more than allowable limit"
    await redis.hset(queue.keys().job(job.id), mapping={"stc": 1, "ats": 1, "defa": sentence})
    await drain(queue)
    assert (await job.refresh()).failed_reason == sentence
    assert await redis.hmget(queue.keys().job(job.id), "stc", "defa") == [None, None]


async def test_any_other_failure_keeps_the_count(make_queue: MakeQueue, redis: Redis) -> None:
    """As BullMQ does: it is part of the job's story."""
    queue = make_queue(retry=Retry(attempts=1))

    @queue.job("build")
    async def build(job: JobContext) -> None:
        raise ValueError("no")

    job = await queue.add("build")
    await redis.hset(queue.keys().job(job.id), mapping={"stc": 1, "ats": 1})
    await drain(queue)
    assert (await job.refresh()).status == "failed"
    assert await redis.hget(queue.keys().job(job.id), "stc") == "1"
