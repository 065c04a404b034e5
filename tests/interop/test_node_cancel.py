"""Cancelling beside stock Node clients: they see what happened, and their workers do not obey."""

from __future__ import annotations

import asyncio

import pytest
from node_process import BOTH_VERSIONS, Node, Workers

from corral import Cancelled, JobContext, Queue, Retry

pytestmark = BOTH_VERSIONS


@pytest.fixture
def queue(redis_url: str) -> Queue:
    return Queue("cancelled", redis_url=redis_url, retry=Retry(attempts=3))


async def test_node_sees_a_removal_and_a_cancelled_job(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    started = asyncio.Event()

    @queue.job("endless")
    async def endless(job: JobContext) -> None:
        started.set()
        await asyncio.Event().wait()

    client = await node("client.mjs", redis_url, "cancelled")
    waits = await queue.add("endless", delay=1000)
    assert await waits.cancel() is Cancelled.REMOVED
    assert (await client.event("removed", jobId=waits.id))["prev"] == "delayed"
    await workers(queue)
    runs = await queue.add("endless")
    await started.wait()
    await runs.cancel("enough")
    assert (await client.event("failed", jobId=runs.id))["failedReason"] == "Cancelled: enough"
    seen = await client.call("job", runs.id)
    assert (seen["failedReason"], seen["attemptsMade"]) == ("Cancelled: enough", 1)
    assert await client.call("state", runs.id) == "failed"


async def test_a_job_that_a_node_worker_runs_goes_on(redis_url: str, node: Node, queue: Queue) -> None:
    await node("worker.mjs", redis_url, "cancelled")
    job = await queue.add("anything", {"ms": 700})

    async with asyncio.timeout(20):
        while (await job.refresh()).status != "active":
            await asyncio.sleep(0.01)
    assert await job.cancel("please") is Cancelled.SIGNALLED
    assert await job.result(timeout=20) == {"echo": {"ms": 700}, "by": "node"}
    assert not (await job.refresh()).cancelled
