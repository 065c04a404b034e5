"""A stock worker runs our jobs, and we see of it what we would see of our own; order and waits are ours."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from node_process import BOTH_VERSIONS, Node, Workers

from corral import JobContext, JobFailed, Queue, Retry

pytestmark = BOTH_VERSIONS


@pytest.fixture
def queue(redis_url: str) -> Queue:
    return Queue("reported", redis_url=redis_url, retry=Retry(attempts=1))


async def test_progress_log_result_and_events_of_a_stock_worker(
    redis_url: str, node: Node, queue: Queue
) -> None:
    report = {"step": "größer", "percent": 50}
    good = await queue.add("any", {"report": report})
    bad = await queue.add("any", {"failures": 9})
    await node("worker.mjs", redis_url, queue.name)
    assert (await good.result(timeout=20))["by"] == "node"
    with pytest.raises(JobFailed, match="run 1 fails"):
        await bad.result(timeout=20)
    await good.refresh()
    assert (good.progress, good.status, good.processed_by) == (report, "completed", "node-worker")
    assert await good.logs() == ['{"step":"größer","percent":50}']

    heard = []
    async with aclosing(queue.events("0")) as events, asyncio.timeout(20):
        async for event in events:
            heard.append((event.name, event.job_id))
            if event.name == "failed":
                break
    of_good = [name for name, job_id in heard if job_id == good.id]
    assert of_good == ["added", "waiting", "active", "progress", "completed"]
    assert [name for name, job_id in heard if job_id == bad.id][-2:] == ["active", "failed"]


async def test_our_jobs_run_there_in_our_order(redis_url: str, node: Node, queue: Queue) -> None:
    low = await queue.add("any", 1, priority=10)
    first = await queue.add("any", 2)
    second = await queue.add("any", 3)
    high = await queue.add("any", 4, priority=1)
    lifo = await queue.add("any", 5, lifo=True)
    worker = await node("worker.mjs", redis_url, queue.name)
    await low.result(timeout=20)
    await worker.event("completed", jobId=low.id)
    order = [e["jobId"] for e in worker.events if e["event"] == "completed"]
    assert order == [job.id for job in (lifo, first, second, high, low)]


async def test_jitter_is_kept_by_either_side(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    """Jobs that fail together do not come back together: their waits lie within the share, and differ."""

    @queue.job("x")
    async def fail(job: JobContext, data: Any) -> None:
        raise ValueError("no")

    client = await node("client.mjs", redis_url, queue.name)
    retry = Retry(attempts=3, backoff="exponential", delay=100, jitter=0.5)
    there = [job.id for job in await queue.add_many("x", [{"failures": 9}] * 8, retry=retry)]
    theirs = await node("worker.mjs", redis_url, queue.name, "8")
    await client.until(lambda: client.jobs["delayed"] >= set(there), "delay of all")
    await theirs.close()

    backoff = {"type": "exponential", "delay": 100_000, "jitter": 0.5}
    jobs = [{"name": "x", "data": None, "opts": {"attempts": 3, "backoff": backoff}}] * 8
    here = await client.call("addBulk", jobs)
    await workers(queue)
    await client.until(lambda: client.jobs["delayed"] >= set(here), "delay of all")
    for ids in (there, here):
        delays = [(await client.call("job", job_id))["delay"] for job_id in ids]
        assert all(50_000 <= delay <= 100_000 for delay in delays)
        assert len(set(delays)) > 1


async def test_a_pause_of_ours_stops_a_stock_worker(redis_url: str, node: Node, queue: Queue) -> None:
    client = await node("client.mjs", redis_url, queue.name)
    await node("worker.mjs", redis_url, queue.name)
    first = await queue.add("any", 1)
    await first.result(timeout=20)
    await queue.admin.pause()
    later = await queue.add("any", 2)
    promoted = await queue.add("any", 3, delay=3600)
    await queue.admin.promote(promoted.id)
    await queue.admin.resume()
    assert (await later.result(timeout=20))["echo"] == 2
    assert (await promoted.result(timeout=20))["echo"] == 3
    await client.until(lambda: client.jobs["active"] >= {later.id, promoted.id}, "starts")
    order = [e["event"] for e in client.events if e.get("jobId") != first.id]
    assert order.index("paused") < order.index("resumed") < order.index("active")


async def test_a_custom_id_exists_once_whoever_adds_it(redis_url: str, node: Node, queue: Queue) -> None:
    client = await node("client.mjs", redis_url, queue.name)
    assert await client.call("add", "any", 1, {"jobId": "order-1"}) == "order-1"
    ours = await queue.add("any", 2, job_id="order-1")
    assert (ours.id, ours.existed, ours.data) == ("order-1", True, 1)
    await queue.add("any", 3, job_id="order-2")
    assert await client.call("add", "any", 4, {"jobId": "order-2"}) == "order-2"
    assert await client.call("data", "order-2") == 3
    await client.event("duplicated", jobId="order-2")
    assert (await client.counts())["waiting"] == 2
