"""A job that no worker came to in time goes to the dead letters instead of running."""

from __future__ import annotations

import time

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Job, JobContext, Queue, Retry, Snooze
from corral.worker import ending
from eventually import eventually

HOUR_MS = 3_600_000


async def age(queue: Queue, redis: Redis, job: Job, ms: int = HOUR_MS) -> None:
    """Make a job older than it is."""
    added = int(await redis.hget(queue.keys().job(job.id), "timestamp"))
    await redis.hset(queue.keys().job(job.id), "timestamp", added - ms)


@pytest.fixture
def ran(queue: Queue) -> list[int]:
    """What the queue's handler was given."""
    given: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, n: int) -> None:
        given.append(n)

    return given


async def test_what_is_too_old_is_dead_with_its_data(queue: Queue, redis: Redis, ran: list[int]) -> None:
    old = await queue.add("build", 1, ttl=60)
    fresh = await queue.add("build", 2, ttl=60)
    endless = await queue.add("build", 3)
    await age(queue, redis, old)
    await age(queue, redis, endless)
    await drain(queue)
    assert sorted(ran) == [2, 3]
    await old.refresh()
    assert (old.status, old.data, old.attempts_made) == ("failed", 1, 1)
    assert old.failed_reason is not None
    assert old.failed_reason.startswith("Expired 3540.")
    assert (await fresh.refresh()).status == "completed"


async def test_the_queues_own_holds_for_jobs_of_any_producer(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(ttl=60)
    ran: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, n: int) -> None:
        ran.append(n)

    stock = await Queue(queue.name, redis_url=queue.address().url).add("build", 1)
    longer = await queue.add("build", 2, ttl=7200)
    for job in (stock, longer):
        await age(queue, redis, job)
    await drain(queue)
    assert ran == [2]
    assert (await stock.refresh()).status == "failed"


async def test_a_delayed_job_counts_from_when_it_is_due(queue: Queue, redis: Redis, ran: list[int]) -> None:
    early = await queue.add("build", 1, delay=7200, ttl=60)
    late = await queue.add("build", 2, delay=1800, ttl=60)
    for job in (early, late):
        await age(queue, redis, job)
        await redis.zadd(queue.keys().delayed, {job.id: 1})  # due now, as if the hour had passed
    await drain(queue)
    assert ran == [1]
    assert (await late.refresh()).status == "failed"


async def test_only_the_first_start_counts(make_queue: MakeQueue, redis: Redis) -> None:
    """A retry and a snooze come later than any ttl, and run."""
    queue = make_queue(retry=Retry(attempts=2, backoff="fixed", delay=0))
    runs: dict[str, int] = {}

    @queue.job("build")
    async def build(job: JobContext, how: str) -> None:
        runs[how] = runs.get(how, 0) + 1
        await redis.hset(queue.keys().job(job.id), "timestamp", 1)
        if runs[how] > 1:
            return
        if how == "retry":
            raise ValueError("again")
        raise Snooze(0.01)

    jobs = [await queue.add("build", how, ttl=60) for how in ("retry", "snooze")]

    async def completed() -> bool:
        await drain(queue)
        return all([(await job.refresh()).status == "completed" for job in jobs])

    await eventually(completed)
    assert runs == {"retry": 2, "snooze": 2}


async def test_a_durable_wait_may_be_longer(queue: Queue, redis: Redis, start_worker: StartWorker) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> str:
        await redis.hset(queue.keys().job(job.id), "timestamp", 1)
        answer: str = await job.wait_for("go", timeout=60)
        return answer

    job = await queue.add("build", ttl=60)
    start_worker(queue)

    async def waits() -> bool:
        return (await job.refresh()).status == "delayed"

    await eventually(waits)
    await queue.signal("go", "went")
    assert await job.result(timeout=15) == "went"


async def test_a_worker_that_does_not_know_the_name_is_no_start(
    make_queue: MakeQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "UNKNOWN_NAME_SECONDS", 0.001)
    queue = make_queue()
    job = await queue.add("later", ttl=60)
    old_release, new_release = make_queue(queue.name), make_queue(queue.name)

    @old_release.job("build")
    async def build(job: JobContext) -> None: ...

    @new_release.job("later")
    async def later(job: JobContext) -> None:
        raise AssertionError("ran")

    await drain(old_release)  # holds it
    assert (await job.refresh()).status in ("delayed", "waiting")
    await age(queue, redis, job)

    async def expired() -> bool:
        await drain(new_release)
        return (await job.refresh()).status == "failed"

    await eventually(expired)
    assert job.failed_reason is not None
    assert job.failed_reason.startswith("Expired")


async def test_an_expired_job_that_is_retried_by_hand_runs(
    queue: Queue, redis: Redis, ran: list[int]
) -> None:
    keys = queue.keys()
    job = await queue.add("build", 1, ttl=60)
    await age(queue, redis, job)
    await drain(queue)
    assert await redis.zrem(keys.failed, job.id) == 1
    await redis.lpush(keys.wait, job.id)
    await drain(queue)
    assert ran == [1]


async def test_a_worker_with_a_wrong_clock_expires_nothing(
    queue: Queue, ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The age is told by the server's clock on both ends."""
    await queue.add("build", 1, ttl=60)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    await drain(queue)
    assert ran == [1]
