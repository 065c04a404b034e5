"""Time limits: async work is stopped, a thread is said to go on, and nobody's slot is lost."""

from __future__ import annotations

import asyncio
import threading

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import JobContext, Retry, Snooze, ThreadJobContext
from corral.errors import LockLost
from eventually import eventually

ONCE = Retry(attempts=1)


async def test_async_work_is_stopped(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=ONCE, timeout=0.1)
    stopped = went_on = False

    @queue.job("build")
    async def build(job: JobContext) -> None:
        nonlocal stopped, went_on
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped = True
            raise
        went_on = True

    job = await queue.add("build")
    await drain(queue)
    await job.refresh()
    assert stopped
    assert not went_on
    assert (job.status, job.attempts_made) == ("failed", 1)
    assert job.failed_reason is not None
    assert "time limit" in job.failed_reason
    assert job.id in job.failed_reason


async def test_a_time_out_is_a_failed_attempt_like_others(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=3, backoff="fixed", delay=0), timeout=0.1)

    @queue.job("build")
    async def build(job: JobContext) -> int:
        if job.attempt < 3:
            await asyncio.Event().wait()
        return job.attempt

    job = await queue.add("build")
    await drain(queue)
    assert await job.result(timeout=10) == 3
    assert len((await job.refresh()).stacktrace) == 2


async def test_a_jobs_own_limit_wins(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=ONCE, timeout=3600)

    @queue.job("build")
    async def build(job: JobContext) -> None:
        await asyncio.Event().wait()

    job = await queue.add("build", timeout=0.1)
    await drain(queue)
    assert (await job.refresh()).status == "failed"


async def test_each_attempt_has_its_own_time(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=2, backoff="fixed", delay=0), timeout=5)
    deadlines: list[float | None] = []

    @queue.job("build")
    async def build(job: JobContext) -> None:
        deadlines.append(job.deadline)
        if job.attempt == 1:
            await asyncio.sleep(0.05)
            raise ValueError("again")

    await queue.add("build")
    await drain(queue)
    first, second = deadlines
    assert first is not None
    assert second is not None
    assert second > first


async def test_a_thread_is_said_to_go_on(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=ONCE, timeout=0.1)
    release, ended = threading.Event(), threading.Event()
    errors: list[Exception] = []

    @queue.job("build")
    def build(job: ThreadJobContext) -> str:
        release.wait(20)
        try:
            job.checkpoint({"too": "late"})
        except LockLost as error:
            errors.append(error)
        ended.set()
        return "too late"

    start_worker(queue)
    job = await queue.add("build")

    async def failed() -> bool:
        return (await job.refresh()).status == "failed"

    await eventually(failed)
    assert not ended.is_set()
    assert job.failed_reason is not None
    assert "goes on" in job.failed_reason
    assert "was stopped" not in job.failed_reason
    release.set()
    await asyncio.to_thread(ended.wait, 20)
    await job.refresh()
    assert (job.status, job.result_value) == ("failed", None)
    assert len(errors) == 1  # its checkpoint did not overwrite anything


async def test_a_handler_that_swallows_its_cancellation_may_still_end_well(
    make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    """It was told and did its work all the same; throwing the result away would only repeat it."""
    queue = make_queue(retry=ONCE, timeout=0.1)

    @queue.job("stubborn")
    async def stubborn(job: JobContext) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await job.log("told to stop")
        await asyncio.sleep(0.01)
        return "done"

    @queue.job("next")
    async def following(job: JobContext) -> str:
        async with asyncio.timeout(10):  # counts the cancellations of its task
            await asyncio.sleep(0.01)
        return "fine"

    start_worker(queue, concurrency=1)
    first, second = await queue.add("stubborn"), await queue.add("next")
    assert await first.result(timeout=15) == "done"
    assert await second.result(timeout=15) == "fine"
    assert await first.logs() == ["told to stop"]


async def test_a_handler_may_end_its_own_way_when_it_is_stopped(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=ONCE, timeout=0.1)

    @queue.job("raises")
    async def raises(job: JobContext) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("cleaned up badly") from None

    @queue.job("snoozes")
    async def snoozes(job: JobContext) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Snooze(3600) from None

    bad, later = await queue.add("raises"), await queue.add("snoozes")
    await drain(queue)
    assert (await bad.refresh()).failed_reason == "cleaned up badly"
    await later.refresh()
    assert (later.status, later.attempts_made) == ("delayed", 0)


async def test_time_limits_of_many_jobs_at_once(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=ONCE, timeout=0.2)
    gate = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext, data: int) -> int:
        if data % 2:
            await gate.wait()
        return data

    await queue.add_many("build", range(200))
    await drain(queue, concurrency=50)
    counts = await queue.counts()
    assert (counts["completed"], counts["failed"]) == (100, 100)


@pytest.mark.parametrize("cancelled", ["its own task", "a task of its own"])
async def test_a_cancellation_from_inside_is_a_failed_attempt(
    make_queue: MakeQueue, redis: Redis, cancelled: str
) -> None:
    queue = make_queue(retry=ONCE)

    @queue.job("build")
    async def build(job: JobContext) -> None:
        if cancelled == "its own task":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        else:
            inner = asyncio.create_task(asyncio.sleep(60))
            inner.cancel()
            await inner

    @queue.job("next")
    async def following(job: JobContext) -> str:
        async with asyncio.timeout(10):
            await asyncio.sleep(0.01)
        return "fine"

    first, second = await queue.add("build"), await queue.add("next")
    await drain(queue, concurrency=1)
    assert (await first.refresh()).status == "failed"
    assert await second.result(timeout=10) == "fine"
