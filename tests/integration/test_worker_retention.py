"""Which finished jobs stay: by count, by age, by their own wish, and never without a bound."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, drain

from corral import JobContext, Keep, Queue, Retention, Retry


def handled(queue: Queue) -> Queue:
    @queue.job("build")
    async def build(job: JobContext, data: Any) -> Any:
        await job.log("a row")
        if data == "fail":
            raise ValueError("boom")
        return data

    return queue


async def age(redis: Redis, key: str, seconds: float) -> None:
    """Let everything in a finished set be so old."""
    then = (time.time() - seconds) * 1000
    for job_id in await redis.zrange(key, 0, -1):
        await redis.zadd(key, {job_id: then})


async def test_by_count(make_queue: MakeQueue, redis: Redis) -> None:
    queue = handled(make_queue(retention=Retention(completed=Keep(count=3)), retry=Retry(attempts=1)))
    await queue.add_many("build", range(9))
    await drain(queue, concurrency=1)
    keys = queue.keys()
    assert await redis.zrange(keys.completed, 0, -1) == ["7", "8", "9"]
    left = {key for key in await redis.keys(f"{keys.base}*") if key.removeprefix(keys.base)[0].isdigit()}
    assert left == {keys.job(n) for n in ("7", "8", "9")} | {keys.logs(n) for n in ("7", "8", "9")}


async def test_by_age_when_another_job_finishes(make_queue: MakeQueue, redis: Redis) -> None:
    retention = Retention(completed=Keep(age=3600), failed=Keep(age=7200))
    queue = handled(make_queue(retention=retention, retry=Retry(attempts=1)))
    old, bad = await queue.add("build", 1), await queue.add("build", "fail")
    await drain(queue)
    await age(redis, queue.keys().completed, 3700)
    await age(redis, queue.keys().failed, 3700)
    new = await queue.add("build", 2)
    await drain(queue)
    assert await queue.get(old.id) is None
    assert await queue.get(new.id) is not None
    assert await queue.get(bad.id) is not None
    await age(redis, queue.keys().failed, 7300)
    await queue.add("build", "fail")
    await drain(queue)
    assert await queue.get(bad.id) is None


async def test_the_default_bounds_memory(make_queue: MakeQueue, redis: Redis) -> None:
    """Completed jobs for a day, the dead letters for 30 days."""
    queue = handled(make_queue(retry=Retry(attempts=1)))
    good, bad = await queue.add("build", 1), await queue.add("build", "fail")
    await drain(queue)
    await age(redis, queue.keys().completed, 24 * 3600 + 60)
    await age(redis, queue.keys().failed, 29 * 24 * 3600)
    for data in (1, "fail"):
        await queue.add("build", data)
    await drain(queue)
    assert await queue.get(good.id) is None
    assert await queue.get(bad.id) is not None
    await age(redis, queue.keys().failed, 30 * 24 * 3600 + 60)
    await queue.add("build", "fail")
    await drain(queue)
    assert await queue.get(bad.id) is None
    events = await redis.xlen(queue.keys().events)
    assert 0 < events < 11_000


@pytest.mark.parametrize("outcome", ["completed", "failed"])
async def test_a_job_may_go_at_once(make_queue: MakeQueue, redis: Redis, outcome: str) -> None:
    queue = handled(make_queue(retry=Retry(attempts=1)))
    data = 1 if outcome == "completed" else "fail"
    gone = await queue.add("build", data, remove_on_complete=True, remove_on_fail=True)
    stays = await queue.add("build", data)
    await drain(queue, concurrency=1)
    assert await queue.get(gone.id) is None
    assert (await stays.refresh()).status == outcome
    keys = queue.keys()
    assert await redis.exists(keys.logs(gone.id), f"{keys.job(gone.id)}:lock") == 0
    assert await redis.zrange(keys.completed if outcome == "completed" else keys.failed, 0, -1) == [stays.id]


async def test_a_job_may_stay_for_ever(make_queue: MakeQueue, redis: Redis) -> None:
    """Its own policy trims nothing. (Another job's policy trims the whole set: BullMQ's rule.)"""
    queue = handled(make_queue(retention=Retention(completed=Keep(count=1))))
    for data in range(4):
        await queue.add("build", data, remove_on_complete=False)
    await drain(queue, concurrency=1)
    assert (await queue.counts())["completed"] == 4
    await queue.add("build", 5)
    await drain(queue)
    assert (await queue.counts())["completed"] == 1


async def test_a_nodes_wish_is_obeyed(make_queue: MakeQueue, redis: Redis) -> None:
    queue = handled(make_queue())
    for opts in ({"removeOnComplete": 2}, {"removeOnComplete": {"age": 3600, "count": 2}}):
        jobs = await queue.add_many("build", range(5))
        for job in jobs:
            await redis.hset(queue.keys().job(job.id), "opts", json.dumps(opts))
        await drain(queue, concurrency=1)
        assert (await queue.counts())["completed"] == 2


async def test_a_batch_with_different_wishes(make_queue: MakeQueue) -> None:
    queue = handled(make_queue(retry=Retry(attempts=1)))
    for number in range(60):
        await queue.add(
            "build",
            "fail" if number % 3 == 0 else number,
            remove_on_complete=(True, False)[number % 2],
            remove_on_fail=(True, False)[number % 2],
        )
    await drain(queue, concurrency=60)
    counts = await queue.counts()
    assert (counts["completed"], counts["failed"]) == (20, 10)


async def test_more_than_a_script_unpacks_at_once(make_queue: MakeQueue, redis: Redis) -> None:
    """A queue that kept everything gets a bound: 20,000 jobs go with one finish."""
    queue = handled(make_queue(retention=Retention(completed=Keep(count=5))))
    keys = queue.keys()
    pipe = redis.pipeline(transaction=False)
    for number in range(20_000):
        pipe.zadd(keys.completed, {f"old-{number}": number})
        pipe.hset(keys.job(f"old-{number}"), "name", "build")
    await pipe.execute()
    await queue.add("build", 1)
    await drain(queue)
    assert await redis.zcard(keys.completed) == 5
    assert len(await redis.keys(f"{keys.base}old-*")) == 4
