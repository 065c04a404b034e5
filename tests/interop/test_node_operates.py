"""What a stock client does to jobs of ours; and limits of ours that stock workers keep."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from node_process import BOTH_VERSIONS, Node, NodeFailed, NodeProcess, Workers
from redis.asyncio import Redis

from corral import Job, JobContext, Queue, RateLimit, Retry
from eventually import eventually

pytestmark = BOTH_VERSIONS


@pytest.fixture
def ran() -> list[Any]:
    return []


@pytest.fixture
def queue(redis_url: str, ran: list[Any]) -> Queue:
    queue = Queue("operated", redis_url=redis_url, retry=Retry(attempts=1))

    @queue.job("x")
    async def run(job: JobContext, data: Any) -> Any:
        ran.append(data)
        if data == "bad":
            raise ValueError("bad luck")
        return data

    return queue


@pytest.fixture
async def client(redis_url: str, node: Node, queue: Queue) -> NodeProcess:
    return await node("client.mjs", redis_url, queue.name)


@pytest.mark.parametrize("one_by_one", [True, False])
async def test_it_promotes_our_delayed_jobs(
    client: NodeProcess, workers: Workers, queue: Queue, one_by_one: bool
) -> None:
    jobs = await queue.add_many("x", [1, 2, 3], delay=3600)
    await workers(queue)
    if one_by_one:
        for job in jobs:
            await client.call("promote", job.id)
    else:
        await client.call("promoteAll")
    assert [await job.result(timeout=20) for job in jobs] == [1, 2, 3]


async def test_what_it_removes_never_runs(
    client: NodeProcess, workers: Workers, queue: Queue, ran: list[Any]
) -> None:
    kinds: list[dict[str, Any]] = [{}, {"delay": 3600}, {"priority": 3}, {"job_id": "mine"}]
    jobs = [await queue.add("x", n, **options) for n, options in enumerate(kinds)]
    last = await queue.add("x", "last")
    for job in jobs:
        await client.call("remove", job.id)
        await client.event("removed", jobId=job.id)
        assert await queue.get(job.id) is None
    await workers(queue)
    assert await last.result(timeout=20) == "last"
    assert ran == ["last"]


async def test_it_changes_priority_delay_data_and_log_of_our_jobs(
    client: NodeProcess, workers: Workers, queue: Queue, ran: list[Any]
) -> None:
    first = await queue.add("x", "first", priority=5)
    second = await queue.add("x", "second", priority=5)
    await client.call("changePriority", second.id, 1)
    await client.call("updateData", first.id, "changed")
    await client.call("log", first.id, "a row of Node's")
    later = await queue.add("x", "later", delay=3600)
    await client.call("changeDelay", later.id, 1)
    await workers(queue, concurrency=1)
    assert [await job.result(timeout=20) for job in (first, later)] == ["changed", "later"]
    assert [data for data in ran if data != "later"] == ["second", "changed"]
    assert await first.logs() == ["a row of Node's"]


async def test_it_retries_all_that_failed_here(
    client: NodeProcess, workers: Workers, queue: Queue, ran: list[Any]
) -> None:
    jobs = await queue.add_many("x", ["bad"] * 5)
    await workers(queue)
    await client.until(lambda: client.jobs["failed"] >= {job.id for job in jobs}, "all failures")
    for job in jobs:
        await queue.admin.update_data(job.id, "good")
    await client.call("retryAll", "failed")
    assert [await job.result(timeout=20) for job in jobs] == ["good"] * 5


async def test_it_drains_and_cleans_our_queue(
    client: NodeProcess, workers: Workers, queue: Queue, ran: list[Any]
) -> None:
    done = await queue.add_many("x", ["good"] * 4 + ["bad"] * 3)
    worker = await workers(queue)

    async def ended() -> bool:
        return len(ran) == len(done) and not (await queue.counts())["active"]

    await eventually(ended)
    worker.stop()
    assert len(await client.call("clean", 0, 2, "completed")) == 2
    assert len(await client.call("clean", 0, 100, "failed")) == 3
    await queue.add_many("x", [1, 2, 3])
    await queue.add_many("x", [4, 5], delay=3600)
    assert len(await client.call("clean", 0, 1, "delayed")) == 1
    assert len(await client.call("clean", 0, 1, "wait")) == 1
    counts = await queue.counts()
    assert (counts["completed"], counts["failed"], counts["waiting"], counts["delayed"]) == (2, 0, 2, 1)
    assert await client.counts() == counts
    await client.call("drain", False)
    await client.call("drain", True)
    assert {state for state, count in (await queue.counts()).items() if count} == {"completed"}


async def test_it_obliterates_our_queue_but_not_while_a_job_runs(
    client: NodeProcess, workers: Workers, queue: Queue
) -> None:
    started, may_end = asyncio.Event(), asyncio.Event()

    @queue.job("hold")
    async def hold(job: JobContext) -> None:
        started.set()
        await may_end.wait()

    await queue.add_many("x", [1, 2], delay=3600)
    held = await queue.add("hold")
    await workers(queue)
    async with asyncio.timeout(20):
        await started.wait()
    with pytest.raises(NodeFailed, match="active"):
        await client.call("obliterate")
    may_end.set()
    await client.event("completed", jobId=held.id)
    await client.call("obliterate")
    assert not any((await queue.counts()).values())


@pytest.mark.parametrize("young", [False, True])
async def test_it_removes_a_running_job_only_while_that_is_young(
    redis_url: str, client: NodeProcess, workers: Workers, queue: Queue, young: bool
) -> None:
    """BullMQ knows a running job by its lock, which a job of ours has within a second: a limit."""
    started, may_end = asyncio.Event(), asyncio.Event()

    @queue.job("hold")
    async def hold(job: JobContext) -> None:
        started.set()
        await may_end.wait()

    job = await queue.add("hold")
    await workers(queue)
    async with Redis.from_url(redis_url) as redis, asyncio.timeout(20):
        await started.wait()
        while not await redis.exists(f"bull:operated:{job.id}:lock"):
            await asyncio.sleep(0.01)
        if young:  # as it was a moment ago
            await redis.delete(f"bull:operated:{job.id}:lock")
    if not young:
        with pytest.raises(NodeFailed, match="locked"):
            await client.call("remove", job.id)
        may_end.set()
        await client.event("completed", jobId=job.id)
        return
    await client.call("remove", job.id)
    may_end.set()
    assert await (await queue.add("x", 1)).result(timeout=20) == 1  # the worker goes on
    assert await queue.get(job.id) is None
    assert job.id not in client.jobs["completed"]


# Limits of ours


async def _spans(client: NodeProcess, jobs: list[Job]) -> list[tuple[int, int]]:
    records = [await client.call("job", job.id) for job in jobs]
    return sorted((record["processedOn"], record["finishedOn"]) for record in records)


async def test_a_concurrency_of_ours_holds_over_workers_of_both(
    redis_url: str, node: Node, client: NodeProcess, workers: Workers, queue: Queue
) -> None:
    await queue.limits.set_concurrency(2)
    theirs = await node("worker.mjs", redis_url, queue.name, "10")
    await workers(queue, concurrency=10)
    jobs = await queue.add_many("x", [{"ms": 10}] * 40)
    await asyncio.gather(*(job.result(timeout=30) for job in jobs))
    changes = sorted(
        change for start, end in await _spans(client, jobs) for change in ((start, 1), (end, -1))
    )
    running = most = 0
    for _, change in changes:  # at one moment, ends come before starts
        running += change
        most = max(most, running)
    assert most <= 2
    assert theirs.jobs["completed"]


async def test_a_rate_limit_of_ours_holds_over_workers_of_both(
    redis_url: str, node: Node, client: NodeProcess, workers: Workers, queue: Queue
) -> None:
    await queue.limits.set_rate(RateLimit(3, per=0.3))
    await node("worker.mjs", redis_url, queue.name, "10")
    await workers(queue, concurrency=10)
    jobs = await queue.add_many("x", [{}] * 9)
    await asyncio.gather(*(job.result(timeout=30) for job in jobs))
    starts = [start for start, _ in await _spans(client, jobs)]
    # The fourth belongs to the next window. Node's clock is its own process's: it rounds, and is read before.
    assert all(later - first >= 250 for first, later in zip(starts[::3], starts[3::3], strict=False))
