"""Policies of Corral's queues that meet stock Node: time to live, killed workers, a custom back-off."""

from __future__ import annotations

from node_process import BOTH_VERSIONS, Node, Workers
from redis.asyncio import Redis

from corral import JobContext, Queue, Retry

pytestmark = BOTH_VERSIONS


async def test_a_job_of_node_expires_here_and_node_retries_it(
    redis_url: str, node: Node, workers: Workers
) -> None:
    queue = Queue("late", redis_url=redis_url, ttl=60)

    @queue.job("x")
    async def run(job: JobContext, data: int) -> int:
        return data

    client = await node("client.mjs", redis_url, "late")
    now = 1_750_000_000_000  # long ago
    job_id = await client.call("add", "x", 7, {"timestamp": now})
    await workers(queue)
    failed = await client.event("failed", jobId=job_id)
    assert failed["failedReason"].startswith("Expired")
    await client.call("retry", job_id, "failed")
    assert (await client.event("completed", jobId=job_id))["returnvalue"] == 7


async def test_node_runs_our_jobs_with_a_time_to_live(redis_url: str, node: Node) -> None:
    """It does not know of it, and is not disturbed by it."""
    job = await Queue("late", redis_url=redis_url).add("x", 7, ttl=60, max_data_bytes=100)
    await node("worker.mjs", redis_url, "late")
    assert (await job.result(timeout=20))["echo"] == 7


async def test_a_killer_that_node_retries_has_its_stall_budget_back(
    redis_url: str, node: Node, workers: Workers
) -> None:
    queue = Queue("killer", redis_url=redis_url, retry=Retry(attempts=1))

    @queue.job("x")
    async def run(job: JobContext, data: int) -> int:
        return data

    client = await node("client.mjs", redis_url, "killer")
    plain = await client.call("add", "x", 1, {})
    special = await client.call("add", "x", 2, {"deduplication": {"id": "d"}})
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        for job_id in (plain, special):
            await redis.hset(f"bull:killer:{job_id}", mapping={"stc": 2, "ats": 2, "corral:suspect": "2:1"})
        await workers(queue)
        for job_id in (plain, special):
            failed = await client.event("failed", jobId=job_id)
            assert "died or stalled 2 times" in failed["failedReason"]
            assert await redis.hget(f"bull:killer:{job_id}", "stc") is None
            await client.call("retry", job_id, "failed")
            assert (await client.event("completed", jobId=job_id))["returnvalue"] == data_of(job_id, plain)


def data_of(job_id: str, plain: str) -> int:
    return 1 if job_id == plain else 2


async def test_node_waits_by_the_rest_of_a_policy_that_holds_a_function(redis_url: str, node: Node) -> None:
    retry = Retry(attempts=3, backoff="fixed", delay=0.005, wait=lambda attempt, error: 3600)
    queue = Queue("custom", redis_url=redis_url, retry=retry)
    job = await queue.add("x", {"failures": 2})
    client = await node("client.mjs", redis_url, "custom")
    assert (await client.call("job", job.id))["opts"]["backoff"] == {
        "type": "fixed",
        "delay": 5,
        "queueWaits": True,
    }
    await node("worker.mjs", redis_url, "custom", "1")
    assert (await job.result(timeout=20))["by"] == "node"
    assert (await job.refresh()).attempts_made == 3
