"""The queue's word on errors and waits, in a worker."""

from __future__ import annotations

import json

from running_worker import MakeQueue, Redis, drain

from corral import JobContext, Retry


async def test_permanent_and_retryable_errors(make_queue: MakeQueue) -> None:
    queue = make_queue(
        retry=Retry(attempts=3, backoff="fixed", delay=0, permanent=(KeyError,), retryable=(LookupError,))
    )

    @queue.job("build")
    async def build(job: JobContext, error: str) -> None:
        raise {"key": KeyError, "index": IndexError, "value": ValueError}[error](error)

    jobs = {error: await queue.add("build", error) for error in ("key", "index", "value")}
    own = await queue.add("build", "value", retry=Retry(attempts=9, backoff="fixed", delay=0))
    await drain(queue)
    made = {error: (await job.refresh()).attempts_made for error, job in jobs.items()}
    assert made == {"key": 1, "index": 3, "value": 1}
    assert (await own.refresh()).attempts_made == 1
    assert (await queue.counts())["failed"] == 4


async def test_a_function_says_how_long_and_when_to_stop(make_queue: MakeQueue, redis: Redis) -> None:
    asked: list[tuple[int, str]] = []

    def wait(attempt: int, error: BaseException) -> float | None:
        asked.append((attempt, str(error)))
        return None if attempt == 3 else 0

    queue = make_queue(retry=Retry(attempts=10, wait=wait, delay=30))

    @queue.job("build")
    async def build(job: JobContext) -> None:
        raise ValueError(f"run {job.attempt} of {job.attempts}")

    job = await queue.add("build")
    stored = json.loads(await redis.hget(queue.keys().job(job.id), "opts"))
    assert stored == {
        "attempts": 10,
        "backoff": {"type": "exponential", "delay": 30_000, "queueWaits": True},
    }
    await drain(queue)
    await job.refresh()
    assert (job.status, job.attempts_made, job.failed_reason) == ("failed", 3, "run 3 of 10")
    assert asked == [(1, "run 1 of 10"), (2, "run 2 of 10"), (3, "run 3 of 10")]


async def test_a_wait_of_a_function_is_written_as_a_delay(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=Retry(attempts=2, wait=lambda attempt, error: 90))

    @queue.job("build")
    async def build(job: JobContext) -> None:
        raise ValueError("no")

    job = await queue.add("build")
    await drain(queue)
    assert (await job.refresh()).status == "delayed"
    assert await redis.hget(queue.keys().job(job.id), "delay") == "90000"
