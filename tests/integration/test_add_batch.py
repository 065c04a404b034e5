"""Adding jobs of different names and options in one call; ids with idempotency keys."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, drain

from corral import JobContext, NewJob, Priority, Queue, Retry
from corral.bullmq.producer import MAX_BATCH_JOBS
from corral.errors import (
    IdempotencyConflict,
    InvalidData,
    InvalidInput,
    InvalidOptions,
    JobTooLarge,
    UnknownJobName,
)


async def script_calls(redis: Redis) -> int:
    stats = await redis.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval"))


# A batch


async def test_each_job_has_its_own_name_data_and_options(queue: Queue, redis: Redis) -> None:
    jobs = await queue.add_batch(
        [
            NewJob("build", {"n": 1}),
            NewJob("purge", None, delay=60),
            NewJob("build", [3], priority=Priority.LOW, job_id="order-3"),
            NewJob("build", "4", lifo=True, retry=Retry(attempts=1)),
        ]
    )
    assert [(job.name, job.data, job.existed) for job in jobs] == [
        ("build", {"n": 1}, False),
        ("purge", None, False),
        ("build", [3], False),
        ("build", "4", False),
    ]
    keys = queue.keys()
    assert await redis.lrange(keys.wait, 0, -1) == [jobs[0].id, jobs[3].id]
    assert await redis.zrange(keys.delayed, 0, -1) == [jobs[1].id]
    assert await redis.zrange(keys.prioritized, 0, -1) == ["order-3"]
    assert json.loads(await redis.hget(keys.job(jobs[3].id), "opts")) == {"attempts": 1, "lifo": True}


async def test_a_thousand_of_them_are_one_call_beside_a_busy_producer(queue: Queue, redis: Redis) -> None:
    await queue.add_batch([NewJob("build")])
    before = await script_calls(redis)
    batch = [NewJob(f"name-{n % 7}", n, priority=n % 3) for n in range(MAX_BATCH_JOBS)]
    jobs = await queue.add_batch(batch)
    assert await script_calls(redis) - before == 1
    assert [int(job.id) for job in jobs] == list(range(2, MAX_BATCH_JOBS + 2))

    # Nothing that is added at the same moment gets in between.
    others = [queue.add("build", n) for n in range(700)]
    results: list[Any] = await asyncio.gather(*others, queue.add_batch(batch))
    ids = [int(job.id) for job in results[-1]]
    assert ids == list(range(ids[0], ids[0] + MAX_BATCH_JOBS))


async def test_more_than_one_call_holds_keeps_its_order(queue: Queue) -> None:
    jobs = await queue.add_batch([NewJob("build", n) for n in range(2 * MAX_BATCH_JOBS + 5)])
    assert [int(job.id) for job in jobs] == list(range(1, 2 * MAX_BATCH_JOBS + 6))


async def test_an_empty_batch_asks_nobody(queue: Queue, redis: Redis) -> None:
    before = await script_calls(redis)
    assert await queue.add_batch([]) == []
    assert await script_calls(redis) == before


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (NewJob("build", "text"), InvalidData),
        (NewJob("bild", 1), UnknownJobName),
        (NewJob("build", 1, delay=-1), InvalidOptions),
        (NewJob("build", 1, job_id="17"), InvalidOptions),
        (NewJob("build", 10**9, max_data_bytes=5), JobTooLarge),
        (NewJob("build", object()), InvalidData),
    ],
    ids=["type", "name", "option", "id", "size", "not JSON"],
)
async def test_one_wrong_job_refuses_them_all_and_is_named(
    make_queue: MakeQueue, redis: Redis, wrong: NewJob, error: type[InvalidInput]
) -> None:
    queue = make_queue()

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None: ...

    with pytest.raises(error, match="Job 1 of the batch"):
        await queue.add_batch([NewJob("build", 1), wrong, NewJob("build", 3)])
    assert await redis.keys("*") == []


async def test_jobs_that_are_there_already_are_returned(queue: Queue) -> None:
    by_id = await queue.add("build", 1, job_id="order-1")
    by_key = await queue.add("build", 2, idempotency_key="k")
    jobs = await queue.add_batch(
        [NewJob("build", 9, job_id="order-1"), NewJob("build", 2, idempotency_key="k"), NewJob("build", 3)]
    )
    assert [job.existed for job in jobs] == [True, True, False]
    assert [job.id for job in jobs[:2]] == [by_id.id, by_key.id]
    assert jobs[0].data == 1


async def test_a_conflict_is_raised_when_the_others_are_in(queue: Queue) -> None:
    await queue.add("build", 1, idempotency_key="k")
    with pytest.raises(IdempotencyConflict, match="Job 1 of the batch"):
        await queue.add_batch(
            [NewJob("build", 5), NewJob("build", 2, idempotency_key="k"), NewJob("build", 6)]
        )
    assert (await queue.counts())["waiting"] == 3


# An idempotency key


async def test_the_same_key_under_another_name_is_a_conflict(queue: Queue) -> None:
    await queue.add("build", {"n": 1}, idempotency_key="k")
    with pytest.raises(IdempotencyConflict, match="for a job 'build'"):
        await queue.add("purge", {"n": 1}, idempotency_key="k")
    assert (await queue.counts())["waiting"] == 1


async def test_a_key_with_an_id_gives_the_first_job_whatever_id_comes_later(queue: Queue) -> None:
    first = await queue.add("build", 1, job_id="a-1", idempotency_key="k")
    again = await queue.add("build", 1, job_id="a-2", idempotency_key="k")
    assert (first.id, first.existed) == ("a-1", False)
    assert (again.id, again.existed) == ("a-1", True)
    assert await queue.get("a-2") is None


async def test_a_job_that_is_there_by_its_id_is_remembered_under_a_new_key(queue: Queue) -> None:
    await queue.add("build", 1, job_id="a-1")
    assert (await queue.add("build", 1, job_id="a-1", idempotency_key="k")).existed
    assert (await queue.add("build", 1, idempotency_key="k")).id == "a-1"


async def test_other_work_under_the_id_is_a_conflict_and_leaves_the_key_free(queue: Queue) -> None:
    await queue.add("build", 1, job_id="a-1")
    for name, data in (("build", 2), ("purge", 1)):
        with pytest.raises(IdempotencyConflict, match="job a-1"):
            await queue.add(name, data, job_id="a-1", idempotency_key="k")
    fresh = await queue.add("build", 2, idempotency_key="k")
    assert (fresh.existed, fresh.id != "a-1") == (False, True)


async def test_a_custom_id_alone_gives_the_job_with_its_own_name(queue: Queue) -> None:
    await queue.add("build", 1, job_id="a-1")
    again = await queue.add("purge", 2, job_id="a-1")
    assert (again.existed, again.name, again.data) == (True, "build", 1)


# Policies of one job


async def test_keep_and_log_rows_of_one_job(queue: Queue, redis: Redis) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> None:
        for n in range(5):
            await job.log(f"row {n}")

    jobs = await queue.add_batch([NewJob("build", keep_logs=2), NewJob("build")])
    await drain(queue)
    assert await jobs[0].logs() == ["row 3", "row 4"]
    assert len(await jobs[1].logs()) == 5
