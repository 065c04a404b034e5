"""A job that fails on a Corral worker looks to Node like one that failed on its own."""

from __future__ import annotations

from typing import Any

import pytest
from node_process import BOTH_VERSIONS, Node, NodeProcess, Workers
from redis.asyncio import Redis

from corral import JobContext, Queue, Retry, RetryAfter, Snooze, Unrecoverable

pytestmark = BOTH_VERSIONS

OPTS = {"priority": 1, "attempts": 3, "backoff": {"type": "exponential", "delay": 60_000}}

#: Milliseconds between a worker's answer to Redis and the stream's own clock. Both are the same machine's.
CLOCKS = 1_000


@pytest.fixture
def queue(redis_url: str) -> Queue:
    queue = Queue("failing", redis_url=redis_url, retry=Retry(attempts=1))

    @queue.job("break")
    async def fail(job: JobContext, data: None) -> None:
        raise ValueError(f"attempt {job.attempt} broke")

    @queue.job("hopeless")
    async def hopeless(job: JobContext, data: None) -> None:
        raise Unrecoverable("no such document")

    @queue.job("busy")
    async def busy(job: JobContext, data: None) -> None:
        raise RetryAfter(120, "asked to wait")

    @queue.job("sleepy")
    async def sleepy(job: JobContext, data: None) -> None:
        raise Snooze(90)

    return queue


async def test_attempts_and_exponential_waits_of_the_producer_hold(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "failing")
    job_id = await client.call("add", "break", None, OPTS)
    await workers(queue)

    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        for attempt, delay in ((1, 60_000), (2, 120_000)):
            event = await _nth_delay(client, job_id, attempt)
            score = await redis.zscore("bull:failing:delayed", job_id)
            assert score is not None
            assert int(score) // 4096 == int(event["delay"])
            latest: Any = await redis.xrevrange("bull:failing:events", count=1)
            stream_id = latest[0][0]
            assert abs(int(event["delay"]) - delay - int(stream_id.split("-")[0])) < CLOCKS

            job = await client.call("job", job_id)
            assert job["delay"] == delay
            assert job["attemptsMade"] == attempt
            assert job["failedReason"] == f"attempt {attempt} broke"
            assert len(job["stacktrace"]) == attempt
            assert f"ValueError: attempt {attempt} broke" in job["stacktrace"][-1]
            assert await client.call("state", job_id) == "delayed"
            assert "failed" not in client.events_of(job_id)
            await client.call("promote", job_id)

    failed = await client.event("failed", jobId=job_id)
    assert failed["failedReason"] == "attempt 3 broke"
    exhausted = await client.event("retries-exhausted", jobId=job_id)
    assert int(exhausted["attemptsMade"]) == 3
    job = await client.call("job", job_id)
    assert (job["attemptsMade"], job["attemptsStarted"]) == (3, 3)
    assert len(job["stacktrace"]) == 3
    assert job["priority"] == 1
    assert await client.call("state", job_id) == "failed"
    with pytest.raises(Exception, match="attempt 3 broke"):
        await client.call("wait", job_id, 5_000)


async def _nth_delay(client: NodeProcess, job_id: str, number: int) -> dict[str, str]:
    """The job's number-th `delayed` event."""
    await client.until(lambda: client.events_of(job_id).count("delayed") >= number, f"delay {number}")
    return [e for e in client.events if e["event"] == "delayed" and e["jobId"] == job_id][number - 1]


async def test_a_fixed_backoff_of_a_plain_number_holds(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "failing")
    job_id = await client.call("add", "break", None, {"attempts": 2, "backoff": 45_000})
    await workers(queue)
    await client.event("delayed", jobId=job_id)
    assert (await client.call("job", job_id))["delay"] == 45_000


async def test_attempts_without_backoff_follow_at_once(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "failing")
    job_id = await client.call("add", "break", None, {"attempts": 3})
    await workers(queue)
    await client.event("retries-exhausted", jobId=job_id)
    events = client.events_of(job_id)
    assert events == ["added", "waiting"] + ["active", "waiting"] * 2 + [
        "active",
        "failed",
        "retries-exhausted",
    ]


async def test_what_cannot_help_is_failed_with_attempts_left(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "failing")
    job_id = await client.call("add", "hopeless", None, OPTS)
    await workers(queue)
    assert (await client.event("failed", jobId=job_id))["failedReason"] == "no such document"
    job = await client.call("job", job_id)
    assert (job["attemptsMade"], job["finishedOn"] > 0) == (1, True)
    assert "retries-exhausted" not in client.events_of(job_id)


async def test_a_wait_that_the_handler_asks_for_is_longer_than_the_backoff(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "failing")
    job_id = await client.call("add", "busy", None, OPTS)
    await workers(queue)
    await client.event("delayed", jobId=job_id)
    job = await client.call("job", job_id)
    assert (job["delay"], job["attemptsMade"]) == (120_000, 1)


async def test_a_snooze_spends_no_attempt(redis_url: str, node: Node, workers: Workers, queue: Queue) -> None:
    client = await node("client.mjs", redis_url, "failing")
    job_id = await client.call("add", "sleepy", None, {"attempts": 1})
    await workers(queue)
    await client.event("delayed", jobId=job_id)
    job = await client.call("job", job_id)
    assert (job["delay"], job["attemptsMade"], job["attemptsStarted"]) == (90_000, 0, 1)


async def test_a_retry_by_node_runs_here_again(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "failing")
    job_id = await client.call("add", "break", None, {})
    await workers(queue)
    await client.event("failed", jobId=job_id, failedReason="attempt 1 broke")
    await client.call("retry", job_id, "failed")
    await client.event("failed", jobId=job_id, failedReason="attempt 2 broke")
