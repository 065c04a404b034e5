"""However a child dies on a Corral worker, its parent is told by the child's policy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker

from corral import Flow, Job, JobContext, OnFailure, Queue, Retry
from eventually import eventually

ONCE = Retry(attempts=1)

Prepare = Callable[[Redis, str], Awaitable[Any]]


async def killed_its_worker(redis: Redis, child: str) -> None:
    await redis.hset(child, mapping={"stc": 2, "ats": 2, "corral:suspect": "2:1"})


async def sentenced_by_the_sweep(redis: Redis, child: str) -> None:
    await redis.hset(child, "defa", "job stalled more than allowable limit")


async def undecodable(redis: Redis, child: str) -> None:
    await redis.hset(child, "data", '{"half":')


async def of_another_type(redis: Redis, child: str) -> None:
    await redis.hset(child, "data", '"text"')


async def unknown_for_too_long(redis: Redis, child: str) -> None:
    await redis.hset(child, mapping={"name": "nobody", "corral:unknown": f"{time.time() - 90_000:.3f}"})


async def out_of_time(redis: Redis, child: str) -> None:
    await redis.hset(child, mapping={"data": "-1", "opts": '{"attempts":1,"timeout":20}'})


DEATHS: list[Prepare] = [
    killed_its_worker,
    sentenced_by_the_sweep,
    undecodable,
    of_another_type,
    unknown_for_too_long,
    out_of_time,
]


@pytest.fixture
def queue(make_queue: MakeQueue) -> Queue:
    queue = make_queue("flow", retry=ONCE)

    @queue.job("child")
    async def child(job: JobContext, data: int) -> int:
        if data < 0:
            await asyncio.Event().wait()
        return data

    @queue.job("parent")
    async def parent(job: JobContext) -> int:
        await job.wait_for_children()
        return len(await job.ignored_failures())

    return queue


async def ended(job: Job) -> Job:
    async def over() -> bool:
        return (await job.refresh()).status in ("completed", "failed")

    await eventually(over)
    return job


@pytest.mark.parametrize("policy", list(OnFailure))
@pytest.mark.parametrize("death", DEATHS)
async def test_the_parent_is_told(
    queue: Queue, redis: Redis, start_worker: StartWorker, death: Prepare, policy: OnFailure
) -> None:
    await redis.hset(queue.keys().meta, "paused", 1)
    leaf = Flow(queue, "child", 1, on_failure=policy)
    parent = await Flow(queue, "parent", children=[leaf, Flow(queue, "child", 2)]).add()
    assert leaf.job is not None
    await death(redis, queue.keys().job(leaf.job.id))
    await redis.hdel(queue.keys().meta, "paused")
    start_worker(queue)
    assert (await ended(leaf.job)).status == "failed"
    await ended(parent)
    if policy is OnFailure.FAIL_PARENT:
        assert parent.status == "failed"
        assert leaf.job.id in str(parent.failed_reason)
    else:
        assert parent.status == "completed"
        assert parent.result_value == (0 if policy is OnFailure.REMOVE else 1)
    assert await queue.stuck_parents(older_than=0) == []


@pytest.mark.parametrize("policy", list(OnFailure))
async def test_a_failure_handed_up_follows_the_policy_of_each_level(
    queue: Queue, start_worker: StartWorker, policy: OnFailure
) -> None:
    """The grandchild's failure reaches the middle as `defa`; what that does to the root is its own policy."""
    grandchild = Flow(queue, "child", -1, timeout=0.02)
    middle = Flow(queue, "parent", children=[grandchild], on_failure=policy)
    root = await Flow(queue, "parent", children=[middle]).add()
    start_worker(queue)
    await ended(root)
    assert middle.job is not None
    assert grandchild.job is not None
    await middle.job.refresh()
    assert middle.job.status == "failed"
    assert grandchild.job.id in str(middle.job.failed_reason)
    assert root.status == ("failed" if policy is OnFailure.FAIL_PARENT else "completed")


async def test_a_child_that_dies_and_leaves_nothing_still_tells_its_parent(
    queue: Queue, start_worker: StartWorker
) -> None:
    leaf = Flow(queue, "child", -1, timeout=0.02, on_failure=OnFailure.IGNORE, remove_on_fail=True)
    parent = await Flow(queue, "parent", children=[leaf]).add()
    start_worker(queue)
    assert await parent.result(timeout=10) == 1
    assert leaf.job is not None
    assert await queue.get(leaf.job.id) is None
