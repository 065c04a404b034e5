"""The history of a job's runs: what each way to end leaves in it, how much is kept, and who reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import process_jobs
import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Batch, BatchJob, Job, JobContext, Queue, Retry, RetryAfter, Snooze, Unrecoverable
from corral.bullmq.attempts import FIELD, Run, read
from eventually import eventually

AT_ONCE = Retry(attempts=3, backoff="fixed", delay=0)


async def history(queue: Queue, job: Job, redis: Redis) -> list[Run]:
    raw = await redis.hget(queue.keys().job(job.id), FIELD)
    runs = read(raw.encode() if raw else None)
    for run in runs:
        assert run.started_at is not None
        assert run.ended_at is None or run.ended_at >= run.started_at
    return runs


async def test_a_job_that_completes_at_once_has_none(queue: Queue, redis: Redis) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> int:
        return 1

    job = await queue.add("build")
    await drain(queue)
    assert (await job.refresh()).status == "completed"
    assert await redis.hget(queue.keys().job(job.id), FIELD) is None


async def test_each_failed_run_is_noted_with_its_worker_and_error(
    make_queue: MakeQueue, redis: Redis
) -> None:
    queue = make_queue(retry=AT_ONCE)

    @queue.job("build")
    async def build(job: JobContext) -> None:
        raise ValueError(f"boom {job.attempt} " + "x" * 300)

    job = await queue.add("build")
    await drain(queue)
    runs = await history(queue, job, redis)
    assert [(run.outcome, run.spent, run.error_type) for run in runs] == [
        ("failed", True, "ValueError"),
        ("failed", True, "ValueError"),
        ("dead", True, "ValueError"),
    ]
    assert [run.message[:7] for run in runs] == ["boom 1 ", "boom 2 ", "boom 3 "]
    assert {len(run.message) for run in runs} == {200}
    assert {run.worker for run in runs} == {await redis.hget(queue.keys().job(job.id), "pb")}
    last = await redis.hmget(queue.keys().job(job.id), "processedOn", "finishedOn")
    ends = [round((at or 0) * 1000) for at in (runs[-1].started_at, runs[-1].ended_at)]
    assert ends == [int(one) for one in last]


ENDINGS: Sequence[tuple[BaseException, str, bool, float | None]] = [
    (Snooze(60), "snoozed", False, 60.0),
    (RetryAfter(120, "busy"), "failed", True, 120.0),
    (Unrecoverable("no use"), "dead", True, None),
]


@pytest.mark.parametrize(("error", "outcome", "spent", "wait"), ENDINGS, ids=lambda one: type(one).__name__)
async def test_what_an_error_makes_of_a_run(
    make_queue: MakeQueue, redis: Redis, error: BaseException, outcome: str, spent: bool, wait: float | None
) -> None:
    queue = make_queue(retry=Retry(attempts=3, delays=(1, 1)))

    @queue.job("build")
    async def build(job: JobContext) -> None:
        raise error

    job = await queue.add("build")
    await drain(queue)
    (run,) = await history(queue, job, redis)
    assert (run.outcome, run.spent, run.wait, run.error_type) == (outcome, spent, wait, type(error).__name__)


async def test_a_time_out_and_a_wait_for_a_signal(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=Retry(attempts=2, delays=(60,)), timeout=0.05)

    @queue.job("slow")
    async def slow(job: JobContext) -> None:
        await asyncio.Event().wait()

    @queue.job("asks")
    async def asks(job: JobContext) -> None:
        await job.wait_for("check-7", timeout=900)

    slow_job, asking = await queue.add("slow"), await queue.add("asks")
    await drain(queue)
    (timed_out,) = await history(queue, slow_job, redis)
    assert (timed_out.outcome, timed_out.error_type) == ("failed", "AttemptTimeout")
    (asked,) = await history(queue, asking, redis)
    assert (asked.outcome, asked.spent, asked.message) == ("signal", False, "check-7")
    assert asked.wait is not None
    assert 890 < asked.wait <= 900


async def test_a_cancelled_run_and_one_whose_worker_stops(
    queue: Queue, start_worker: StartWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_GRACE_SECONDS", "0")
    started = asyncio.Semaphore(0)

    @queue.job("endless")
    async def endless(job: JobContext) -> None:
        started.release()
        await asyncio.Event().wait()

    cancelled, stopped = await queue.add("endless"), await queue.add("endless")
    worker = await start_worker(queue).ready()
    async with asyncio.timeout(20):
        await started.acquire()
        await started.acquire()
    await queue.cancel(cancelled.id, "not wanted")

    async def is_ended() -> bool:
        return (await cancelled.refresh()).status == "failed"

    await eventually(is_ended)
    await worker.stop()
    (run,) = await history(queue, cancelled, redis)
    assert (run.outcome, run.message) == ("cancelled", "not wanted")
    (run,) = await history(queue, stopped, redis)
    assert (run.outcome, run.spent) == ("stopped", False)


async def test_a_run_that_died_is_noted_once_it_runs_again(
    queue: Queue, start_worker: StartWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "0.3")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "0.2")

    @queue.job("build")
    async def build(job: JobContext) -> int:
        if job.attempt == 1:
            raise RetryAfter(0, "once more")
        return job.attempt

    job = await queue.add("build")
    keys = queue.keys()
    assert await redis.lrem(keys.wait, 0, job.id) == 1
    await redis.lpush(keys.active, job.id)
    await redis.hset(keys.job(job.id), mapping={"ats": 1, "processedOn": 1_000, "pb": "dead"})
    start_worker(queue)
    assert await job.result(timeout=20) == 2
    died, failed = await history(queue, job, redis)
    assert died == Run(1.0, None, "dead", "died", False, None, "", "")
    assert failed.outcome == "failed"


async def test_the_history_is_bounded_and_keeps_the_newest(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=Retry(attempts=60, backoff="fixed", delay=0))

    @queue.job("build")
    async def build(job: JobContext) -> None:
        raise ValueError(f"{job.attempt} " + "é" * 300)

    job = await queue.add("build")
    await drain(queue)
    raw = await redis.hget(queue.keys().job(job.id), FIELD)
    assert len(raw.encode()) <= 6_000
    runs = await history(queue, job, redis)
    numbers = [int(run.message.split()[0]) for run in runs]
    assert numbers == list(range(61 - len(runs), 61))
    assert len(runs) >= 10


async def test_a_dead_letter_that_is_retried_goes_on_in_its_history(
    make_queue: MakeQueue, redis: Redis
) -> None:
    queue = make_queue(retry=Retry(attempts=1))

    @queue.job("build")
    async def build(job: JobContext) -> None:
        raise ValueError("boom")

    job = await queue.add("build")
    await drain(queue)
    await queue.admin.retry(job.id)
    await drain(queue)
    assert [run.outcome for run in await history(queue, job, redis)] == ["dead", "dead"]
    await queue.admin.remove(job.id)
    assert await redis.exists(queue.keys().job(job.id)) == 0


async def test_runs_in_processes_and_in_batches_are_noted(make_queue: MakeQueue, redis: Redis) -> None:
    in_process, in_batch = make_queue(retry=Retry(attempts=1)), make_queue(retry=Retry(attempts=1))
    in_process.job("raises", isolation="process")(process_jobs.raises)

    @in_batch.job("track", batch=Batch(size=2, linger=60))
    async def track(jobs: list[BatchJob], data: list[int]) -> None:
        raise ValueError("all of them")

    one = await in_process.add("raises", "odd")
    some = await in_batch.add_many("track", [1, 2])
    await drain(in_process)
    await drain(in_batch)
    (run,) = await history(in_process, one, redis)
    assert (run.outcome, run.message) == ("dead", "1 and 2 do not go together")
    for job in some:
        (run,) = await history(in_batch, job, redis)
        assert (run.outcome, run.error_type, run.message) == ("dead", "ValueError", "all of them")
