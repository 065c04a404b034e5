"""Jobs whose worker died, or whose answer was lost: found, put back, and given up when they kill."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis as sync_redis
from running_worker import MakeQueue, Redis, StartWorker

from corral import Job, JobContext, Queue, Retry
from corral.bullmq.consumer import RECORDS, Consumer
from eventually import eventually


@pytest.fixture(autouse=True)
def short_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "0.3")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "0.2")


async def ended(job: Job) -> bool:
    return (await job.refresh()).status in ("completed", "failed")


# Rescued


async def vanished(queue: Queue, redis: Redis, job: Job) -> None:
    """Leave the job as a worker leaves it that died while it ran: active, with a lock that runs out."""
    keys = queue.keys()
    assert await redis.lrem(keys.wait, 0, job.id) == 1
    await redis.lpush(keys.active, job.id)
    await redis.hset(keys.job(job.id), mapping={"ats": 1, "processedOn": 1, "pb": "dead"})
    await redis.set(f"{keys.job(job.id)}:lock", "dead:1", px=100)


async def test_a_job_of_a_worker_that_vanished_is_run_again(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> tuple[int, int]:
        return job.attempt, int(await redis.hget(queue.keys().job(job.id), "stc") or 0)

    job = await queue.add("build")
    await vanished(queue, redis, job)
    start_worker(queue)
    assert await job.result(timeout=15) == (1, 1)  # no attempt was spent, one stall was counted
    assert (await job.refresh()).attempts_made == 1


@pytest.mark.parametrize("scheduled", [False, True], ids=["plain", "of a scheduler"])
async def test_a_job_that_killed_two_workers_goes_to_the_dead_letters(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis, scheduled: bool
) -> None:
    """BullMQ itself never gives up a scheduler's job."""
    queue = make_queue(retry=Retry(attempts=100))
    ran = False

    @queue.job("build")
    async def build(job: JobContext) -> None:
        nonlocal ran
        ran = True

    job = await queue.add("build", {"poison": True})
    if scheduled:
        await redis.hset(queue.keys().job(job.id), "rjk", "every-day")
    # It stalled before, and was the only suspect of the process that dies now.
    await redis.hset(queue.keys().job(job.id), mapping={"stc": 1, "corral:suspect": "1:1"})
    await vanished(queue, redis, job)
    start_worker(queue)
    await eventually(lambda: ended(job))
    assert not ran
    assert (job.status, job.data) == ("failed", {"poison": True})
    assert job.failed_reason is not None
    assert "died or stalled 2 times" in job.failed_reason


async def test_a_job_that_killed_one_worker_gets_another_chance(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> str:
        return "alive"

    job = await queue.add("build")
    await redis.hset(queue.keys().job(job.id), "stc", 1)
    start_worker(queue)
    assert await job.result(timeout=15) == "alive"


async def test_a_job_that_another_worker_sentenced_is_failed_with_that_reason(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    """BullMQ leaves it in `defa` for whoever fetches the job."""
    queue = make_queue(retry=Retry(attempts=100))

    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    job = await queue.add("build")
    await redis.hset(queue.keys().job(job.id), "defa", "job stalled more than allowable limit")
    start_worker(queue)
    await eventually(lambda: ended(job))
    assert (job.status, job.failed_reason) == ("failed", "job stalled more than allowable limit")
    assert await redis.hexists(queue.keys().job(job.id), "defa") is False


async def test_rescued_jobs_come_first(queue: Queue, start_worker: StartWorker, redis: Redis) -> None:
    ran: list[str] = []

    @queue.job("build")
    async def build(job: JobContext, data: str) -> None:
        ran.append(data)

    lost = await queue.add("build", "lost")
    await vanished(queue, redis, lost)
    await redis.hset(queue.keys().meta, "paused", 1)
    await queue.add_many("build", ["a", "b"])
    start_worker(queue, concurrency=1)

    async def rescued() -> bool:
        return bool(await redis.llen(queue.keys().wait) == 3)

    await eventually(rescued)
    await redis.hdel(queue.keys().meta, "paused")
    await redis.zadd(queue.keys().marker, {"0": 0})
    await eventually(lambda: ran == ["lost", "a", "b"])


# Recovered


@pytest.mark.parametrize("priority", [0, 5])
async def test_jobs_of_a_fetch_whose_answer_was_lost_go_back_at_once(
    queue: Queue,
    start_worker: StartWorker,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
    priority: int,
) -> None:
    """Redis took them out of `wait`, the answer never came. They must not need a stall, or count as one."""
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "60")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "60")
    runs: list[tuple[int, str | None]] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        runs.append((data, await redis.hget(queue.keys().job(job.id), "stc")))

    step = Consumer.step
    losses = 0

    async def losing(*args: Any, **options: Any) -> Any:
        nonlocal losses
        answer = await step(*args, **options)
        if answer.jobs and losses < 3:
            losses += 1
            raise sync_redis.ConnectionError("cut off")
        return answer

    monkeypatch.setattr(Consumer, "step", losing)
    start_worker(queue)
    await queue.add_many("build", range(20), priority=priority)
    await eventually(lambda: len(runs) == 20)
    assert losses > 0
    assert sorted(runs) == [(number, None) for number in range(20)]

    async def all_done() -> bool:
        return (await queue.counts())["completed"] == 20

    await eventually(all_done)


async def test_a_fetch_that_is_lost_while_others_are_recovered_is_not_forgotten(
    queue: Queue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await start_worker(queue).ready()
    (feed,) = running.feeds
    recovered: list[list[str]] = []

    async def recover(calls: list[tuple[str, str]]) -> list[str]:
        recovered.append([token for _, token in calls])
        if len(recovered) == 1:
            feed._lost_calls.append(("record", "second"))  # by the other call
        return []

    monkeypatch.setattr(feed._consumer, "recover", recover)
    feed._lost_calls.append(("record", "first"))
    feed._look_again()
    await eventually(lambda: len(recovered) == 2)
    assert recovered == [["first"], ["second"]]


async def test_a_fetch_that_never_arrived_takes_nothing_from_earlier_ones(
    queue: Queue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record is that of an earlier fetch, whose job runs."""
    runs: list[str] = []
    gate = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext) -> None:
        runs.append(job.id)
        await gate.wait()

    running = await start_worker(queue).ready()
    (feed,) = running.feeds
    job = await queue.add("build")
    await eventually(lambda: runs == [job.id])
    step, cut = Consumer.step, 0

    async def cut_off(*args: Any, **options: Any) -> Any:
        nonlocal cut
        if cut < 2 * RECORDS:  # before it reached the server
            cut += 1
            raise sync_redis.ConnectionError("cut off")
        return await step(*args, **options)

    monkeypatch.setattr(Consumer, "step", cut_off)
    feed._look_again()
    await eventually(lambda: cut == 2 * RECORDS and feed.outage.away_since is None)
    assert (await job.refresh()).status == "active"
    gate.set()
    await job.result(timeout=15)
    assert runs == [job.id]


async def test_an_end_whose_answer_was_lost_is_written_once(
    queue: Queue, start_worker: StartWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: int) -> int:
        await asyncio.sleep(0)
        return data

    step = Consumer.step
    losses = 0

    async def losing(consumer: Consumer, token: str, slots: int, settled: list[Any], **options: Any) -> Any:
        nonlocal losses
        answer = await step(consumer, token, slots, settled, **options)
        if settled and losses < 3:
            losses += 1
            raise sync_redis.ConnectionError("cut off")
        return answer

    monkeypatch.setattr(Consumer, "step", losing)
    start_worker(queue)
    jobs = await queue.add_many("build", range(30))
    for job in jobs:
        assert await job.result(timeout=15) == job.data
    assert losses == 3
    completed = [e["jobId"] for _, e in await redis.xrange(queue.keys().events) if e["event"] == "completed"]
    assert sorted(completed) == sorted(job.id for job in jobs)
    assert (await queue.counts())["completed"] == 30
