"""Jobs that are not alone: children tell their parent, parents wait for children, ids of deduplication go.

Such jobs are settled by BullMQ's own scripts; what Node's FlowProducer leaves in Redis is laid out by hand.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Job, JobContext, Queue, Retry
from eventually import eventually

ONCE = Retry(attempts=1)


async def family(
    queue: Queue, redis: Redis, children: list[Any], **on_failure: bool
) -> tuple[Job, list[Job]]:
    """A parent that waits for its children, all in one queue."""
    keys = queue.keys()
    await redis.hset(keys.meta, "paused", 1)
    parent = await queue.add("parent")
    await redis.lrem(keys.wait, 0, parent.id)
    await redis.zadd(keys.waiting_children, {parent.id: 1})
    jobs = await queue.add_many("child", children)
    for job in jobs:
        belongs = {"id": parent.id, "queueKey": keys.base[:-1]} | on_failure
        await redis.hset(
            keys.job(job.id), mapping={"parentKey": keys.job(parent.id), "parent": json.dumps(belongs)}
        )
        await redis.sadd(f"{keys.job(parent.id)}:dependencies", keys.job(job.id))
    await redis.hdel(keys.meta, "paused")
    await redis.zadd(keys.marker, {"0": 0})
    return parent, jobs


@pytest.fixture
def queue(make_queue: MakeQueue, redis: Redis) -> Queue:
    queue = make_queue(retry=ONCE)

    @queue.job("child")
    async def child(job: JobContext, data: Any) -> Any:
        if data == "fail":
            raise ValueError("boom")
        return data

    @queue.job("parent")
    async def parent(job: JobContext) -> dict[str, Any]:
        results = await redis.hgetall(f"{queue.keys().job(job.id)}:processed")
        return {key.rsplit(":", 1)[1]: json.loads(value) for key, value in results.items()}

    return queue


async def test_a_parent_runs_when_its_children_are_through(queue: Queue, redis: Redis) -> None:
    parent, children = await family(queue, redis, ["a", {"b": 1}, None])
    await drain(queue)
    assert await parent.result(timeout=10) == {
        children[0].id: "a", children[1].id: {"b": 1}, children[2].id: None
    }  # fmt: skip
    assert await redis.scard(f"{queue.keys().job(parent.id)}:dependencies") == 0


async def test_many_children_that_end_in_one_batch(queue: Queue, redis: Redis) -> None:
    parent, children = await family(queue, redis, list(range(150)))
    await drain(queue, concurrency=50)
    assert await parent.result(timeout=10) == {job.id: job.data for job in children}


async def test_a_failed_child_fails_its_parent_where_that_was_asked(
    queue: Queue, redis: Redis, start_worker: StartWorker
) -> None:
    parent, _ = await family(queue, redis, ["a", "fail"], fpof=True)
    start_worker(queue)

    async def failed() -> bool:
        return (await parent.refresh()).status == "failed"

    await eventually(failed)
    assert parent.failed_reason is not None
    assert "child" in parent.failed_reason


async def test_a_failed_child_may_be_ignored(queue: Queue, redis: Redis) -> None:
    parent, children = await family(queue, redis, ["a", "fail"], idof=True)
    await drain(queue)
    assert await parent.result(timeout=10) == {children[0].id: "a"}


async def test_a_parent_that_runs_too_early_does_not_complete(queue: Queue, redis: Redis) -> None:
    """By hand, say. BullMQ refuses to complete it; it must not stay active for ever."""
    keys = queue.keys()
    parent = await queue.add("parent")
    await redis.sadd(f"{keys.job(parent.id)}:dependencies", keys.job("elsewhere"))
    await drain(queue)
    await parent.refresh()
    assert parent.status == "failed"
    assert parent.failed_reason is not None
    assert parent.failed_reason.startswith("The job has children that are not finished")


async def test_a_retried_child_tells_its_parent_only_at_its_end(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=Retry(attempts=3, backoff="fixed", delay=0))

    @queue.job("child")
    async def child(job: JobContext, data: Any) -> int:
        if job.attempt < 3:
            raise ValueError("again")
        return job.attempt

    @queue.job("parent")
    async def parent_job(job: JobContext) -> str:
        return "ran"

    parent, (only,) = await family(queue, redis, ["x"])
    await drain(queue)
    assert await parent.result(timeout=10) == "ran"
    assert await redis.hget(f"{queue.keys().job(parent.id)}:processed", queue.keys().job(only.id)) == "3"


@pytest.mark.parametrize("data", ["a", "fail"])
async def test_an_id_of_deduplication_is_free_when_its_job_ends(
    queue: Queue, redis: Redis, data: str
) -> None:
    keys = queue.keys()
    job = await queue.add("child", data)
    await redis.hset(keys.job(job.id), "deid", "once")
    await redis.set(f"{keys.base}de:once", job.id)
    await drain(queue)
    await job.refresh()
    assert job.status == ("completed" if data == "a" else "failed")
    assert job.attempts_made == 1
    assert not await redis.exists(f"{keys.base}de:once")


async def test_children_and_plain_jobs_in_one_batch(queue: Queue, redis: Redis) -> None:
    parent, children = await family(queue, redis, list(range(20)))
    plain = await queue.add_many("child", range(100, 140))
    await drain(queue, concurrency=60)
    assert await parent.result(timeout=10) == {job.id: job.data for job in children}
    assert [await job.result(timeout=10) for job in plain] == list(range(100, 140))
    assert (await queue.counts())["active"] == 0


async def test_retention_of_children(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=ONCE)

    @queue.job("child")
    async def child(job: JobContext, data: Any) -> None: ...

    @queue.job("parent")
    async def parent_job(job: JobContext) -> str:
        return "ran"

    parent, children = await family(queue, redis, ["a", "b"])
    for job in children:
        await redis.hset(queue.keys().job(job.id), "opts", '{"removeOnComplete":true}')
    await drain(queue)
    assert await parent.result(timeout=10) == "ran"
    assert [await queue.get(job.id) for job in children] == [None, None]
