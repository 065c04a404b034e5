"""What becomes of jobs that fail: retries, dead letters, and names that no worker knows."""

from __future__ import annotations

import json

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Job, JobContext, Queue, Retry, RetryAfter, Snooze, ThreadJobContext, Unrecoverable
from corral.worker import ending
from eventually import eventually

AT_ONCE = Retry(attempts=3, backoff="fixed", delay=0)


async def finished(job: Job) -> bool:
    return (await job.refresh()).status in ("completed", "failed")


# Retries


async def test_a_job_fails_as_often_as_it_may(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=AT_ONCE)
    attempts: list[int] = []

    @queue.job("build")
    async def build(job: JobContext) -> None:
        attempts.append(job.attempt)
        raise ValueError(f"boom {job.attempt}")

    job = await queue.add("build")
    await drain(queue)
    await job.refresh()
    assert attempts == [1, 2, 3]
    assert (job.status, job.attempts_made, job.failed_reason) == ("failed", 3, "boom 3")
    assert [trace.strip().splitlines()[-1] for trace in job.stacktrace] == [
        f"ValueError: boom {number}" for number in (1, 2, 3)
    ]
    events = [e["event"] for _, e in await redis.xrange(queue.keys().events)]
    assert events.count("retries-exhausted") == events.count("failed") == 1


async def test_a_retry_waits_in_delayed_and_keeps_its_reason(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=Retry(attempts=3, delays=(60, 300)))

    @queue.job("build")
    async def build(job: JobContext) -> None:
        raise ValueError("boom")

    job = await queue.add("build")
    for attempt, wait in ((1, 60), (2, 300)):
        await drain(queue)
        await job.refresh()
        assert (job.status, job.attempts_made, job.failed_reason) == ("delayed", attempt, "boom")
        assert len(job.stacktrace) == attempt
        assert await redis.hget(queue.keys().job(job.id), "delay") == str(wait * 1000)
        due = await redis.zscore(queue.keys().delayed, job.id) / 4096 / 1000
        seconds, _ = await redis.time()
        assert abs(due - seconds - wait) < 30
        await redis.zadd(queue.keys().delayed, {job.id: 1})  # as if the wait were over
    await drain(queue)
    assert (await job.refresh()).status == "failed"


async def test_retries_come_back_by_themselves(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=Retry(attempts=3, backoff="exponential", delay=0.05, jitter=0.5))

    @queue.job("build")
    async def build(job: JobContext) -> int:
        if job.attempt < 3:
            raise ValueError("not yet")
        return job.attempt

    start_worker(queue)
    jobs = await queue.add_many("build", range(20))
    assert [await job.result(timeout=15) for job in jobs] == [3] * 20


async def test_a_job_keeps_the_options_of_its_node_producer(queue: Queue, redis: Redis) -> None:
    """As the mission's edge function adds it: attempts and exponential backoff of its own."""
    opts = {"priority": 1, "attempts": 3, "backoff": {"type": "exponential", "delay": 60_000}}

    @queue.job("build")
    async def build(job: JobContext) -> None:
        assert job.attempts == 3
        raise ValueError("boom")

    job = await queue.add("build", priority=1, retry=Retry(attempts=1))
    await redis.hset(queue.keys().job(job.id), "opts", json.dumps(opts))
    for wait in (60_000, 120_000):
        await drain(queue)
        assert await redis.hget(queue.keys().job(job.id), "delay") == str(wait)
        await redis.zadd(queue.keys().delayed, {job.id: 1})
    await drain(queue)
    assert (await job.refresh()).status == "failed"


async def test_a_job_without_a_word_about_retries_takes_its_queues_policy(
    make_queue: MakeQueue, redis: Redis
) -> None:
    queue = make_queue(retry=Retry(attempts=2, backoff="fixed", delay=0))

    @queue.job("build")
    async def build(job: JobContext) -> None:
        raise ValueError("boom")

    job = await queue.add("build")
    await redis.hset(queue.keys().job(job.id), "opts", '{"attempts":0}')
    await drain(queue)
    await job.refresh()
    assert (job.status, job.attempts_made) == ("failed", 2)


async def test_unrecoverable_is_dead_at_once(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=AT_ONCE)

    @queue.job("build")
    def build(job: ThreadJobContext) -> None:
        raise Unrecoverable("no such person")

    job = await queue.add("build")
    await drain(queue)
    await job.refresh()
    assert (job.status, job.attempts_made, job.failed_reason) == ("failed", 1, "no such person")


async def test_snooze_goes_back_unspent(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    runs: list[int] = []

    @queue.job("build")
    async def build(job: JobContext) -> None:
        runs.append(job.attempt)
        if len(runs) < 4:
            raise Snooze(60)

    job = await queue.add("build")
    for _ in range(3):
        await drain(queue)
        await job.refresh()
        assert (job.status, job.attempts_made, job.failed_reason) == ("delayed", 0, None)
        assert await redis.hget(queue.keys().job(job.id), "delay") == "60000"
        await redis.zadd(queue.keys().delayed, {job.id: 1})
    await drain(queue)
    await job.refresh()
    assert (job.status, job.attempts_made) == ("completed", 1)
    assert runs == [1, 1, 1, 1]


async def test_snooze_of_no_time_comes_back_at_once(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    runs = 0

    @queue.job("build")
    async def build(job: JobContext) -> int:
        nonlocal runs
        runs += 1
        if runs < 20:
            raise Snooze(0)
        return runs

    start_worker(queue)
    assert await (await queue.add("build")).result(timeout=15) == 20


async def test_until_empty_does_not_leave_a_snooze_of_no_time_behind(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    runs = 0

    @queue.job("build")
    async def build(job: JobContext) -> None:
        nonlocal runs
        runs += 1
        if runs < 5:
            raise Snooze(0)

    job = await queue.add("build")
    await drain(queue, concurrency=1)  # no second call that looks a moment later
    await job.refresh()
    assert (job.status, runs) == ("completed", 5)


@pytest.mark.parametrize(("asked", "wait"), [(900, 900), (1, 60)])
async def test_retry_after_waits_for_the_longer_of_both(
    make_queue: MakeQueue, redis: Redis, asked: float, wait: int
) -> None:
    queue = make_queue(retry=Retry(attempts=2, delays=(60,)))

    @queue.job("build")
    async def build(job: JobContext) -> None:
        raise RetryAfter(asked, "busy")

    job = await queue.add("build")
    await drain(queue)
    await job.refresh()
    assert (job.status, job.attempts_made, job.failed_reason) == ("delayed", 1, "busy")
    assert await redis.hget(queue.keys().job(job.id), "delay") == str(wait * 1000)


# Unknown names


@pytest.fixture
def unknown_held_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "UNKNOWN_NAME_SECONDS", 0.02)


async def test_an_unknown_name_is_held_with_nothing_spent(make_queue: MakeQueue, redis: Redis) -> None:
    queue, old = make_queue("orders"), Queue("orders", redis_url=make_queue("x")._redis_url)

    @old.job("old")
    async def known(job: JobContext) -> None: ...

    job = await queue.add("new", {"a": 1}, retry=Retry(attempts=1))
    await drain(old)
    await job.refresh()
    assert (job.status, job.attempts_made, job.failed_reason) == ("delayed", 0, None)
    since = await redis.hget(queue.keys().job(job.id), "corral:unknown")
    await redis.zadd(queue.keys().delayed, {job.id: 1})
    await drain(old)
    assert await redis.hget(queue.keys().job(job.id), "corral:unknown") == since  # from the first look on

    @queue.job("new")  # the rolling deploy is through
    async def new(job: JobContext, data: dict[str, int]) -> int:
        return data["a"]

    await redis.zadd(queue.keys().delayed, {job.id: 1})
    await drain(queue)
    await job.refresh()
    assert (job.status, job.attempts_made, job.result_value) == ("completed", 1, 1)
    await old.close()


async def test_an_unknown_name_is_dead_after_the_limit(
    queue: Queue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, unknown_held_briefly: None
) -> None:
    monkeypatch.setattr(ending, "UNKNOWN_NAME_LIMIT_SECONDS", 0.2)
    job = await queue.add("nowhere", {"a": 1})

    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    start_worker(queue)
    await eventually(lambda: finished(job))
    assert job.status == "failed"
    assert job.failed_reason is not None
    assert "'nowhere'" in job.failed_reason
    assert "Deploy a handler" in job.failed_reason
    assert job.raw_data == b'{"a":1}'


async def test_unknown_names_do_not_hold_up_the_others(queue: Queue) -> None:
    await queue.add_many("nowhere", range(50))

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None: ...

    await queue.add_many("build", range(50))
    await drain(queue, concurrency=2)
    counts = await queue.counts()
    assert (counts["completed"], counts["delayed"]) == (50, 50)
