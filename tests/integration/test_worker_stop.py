"""Stopping: nothing new is taken, what runs may end, the rest goes back as it was."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker

from corral import JobContext, Queue, Retry, ThreadJobContext, Worker
from corral.worker import slots, stopping
from eventually import eventually


async def unspent(redis: Redis, queue: Queue, job_id: str) -> bool:
    """Is the job back as if it had never been fetched?"""
    keys = queue.keys()
    stored = await redis.hgetall(keys.job(job_id))
    assert stored.get("atm", "0") == "0"
    assert "stc" not in stored
    assert "failedReason" not in stored
    assert not await redis.exists(f"{keys.job(job_id)}:lock")
    return job_id in await redis.lrange(keys.wait, 0, -1) + await redis.zrange(keys.prioritized, 0, -1)


async def test_what_runs_may_end_and_nothing_new_is_taken(queue: Queue, start_worker: StartWorker) -> None:
    gate = asyncio.Event()
    started: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> int:
        started.append(data)
        await gate.wait()
        return data

    running = await start_worker(queue, concurrency=3).ready()
    jobs = await queue.add_many("build", range(10))
    await eventually(lambda: len(started) == 3)
    running.worker.stop()
    await eventually(lambda: running.worker.health()["stopping"])
    later = await queue.add("build", 10)
    gate.set()
    async with asyncio.timeout(15):
        await running.task
    assert sorted(started) == [0, 1, 2]  # two fetches are under way at once
    for job in jobs[:3]:
        await job.refresh()
        assert (job.status, job.result_value) == ("completed", job.data)
    assert (await queue.counts())["waiting"] == 8
    assert (await later.refresh()).status == "waiting"


async def test_what_was_fetched_and_has_not_started_goes_back_at_once(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    running = await start_worker(queue, concurrency=50).ready()
    (feed,) = running.feeds
    ran: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        ran.append(data)
        feed.stop()  # in the middle of a batch: its other jobs are here and wait for their turn

    jobs = await queue.add_many("build", range(40))
    await eventually(lambda: ran)
    await running.stop()
    assert len(ran) == 1  # of one of the two calls' batches
    for job in jobs:
        if job.data not in ran:
            assert await unspent(redis, queue, job.id)


@pytest.mark.parametrize("priority", [0, 3])
async def test_after_the_grace_time_jobs_go_back_unspent_and_in_front(
    queue: Queue,
    start_worker: StartWorker,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
    priority: int,
) -> None:
    monkeypatch.setenv("CORRAL_GRACE_SECONDS", "0.1")
    stopped: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(data)
            raise

    running = await start_worker(queue, concurrency=3).ready()
    jobs = await queue.add_many("build", range(5), priority=priority)

    async def three_run() -> bool:
        return (await queue.counts())["active"] == 3

    await eventually(three_run)
    await running.stop()
    assert sorted(stopped) == [0, 1, 2]
    for job in jobs:
        assert await unspent(redis, queue, job.id)
    keys = queue.keys()
    waiting = await redis.lrange(keys.wait, 0, -1) or (await redis.zrange(keys.prioritized, 0, -1))[::-1]
    assert set(waiting[2:]) == {job.id for job in jobs[:3]}  # in front of those that never ran
    assert (await queue.counts())["active"] == 0


async def test_a_second_stop_ends_the_grace_time(
    queue: Queue, start_worker: StartWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_GRACE_SECONDS", "3600")
    started = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext) -> None:
        started.set()
        await asyncio.Event().wait()

    running = await start_worker(queue).ready()
    job = await queue.add("build")
    async with asyncio.timeout(15):
        await started.wait()
        running.worker.stop()
        await eventually(lambda: running.worker.health()["stopping"])
        assert not running.task.done()
        running.worker.stop()
        await running.task
    assert await unspent(redis, queue, job.id)


async def test_a_thread_is_left_and_its_job_put_back(
    queue: Queue, start_worker: StartWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_GRACE_SECONDS", "0.1")
    started, release, ended = threading.Event(), threading.Event(), threading.Event()

    @queue.job("build")
    def build(job: ThreadJobContext) -> None:
        started.set()
        release.wait(20)
        ended.set()

    running = await start_worker(queue).ready()
    job = await queue.add("build")
    assert await asyncio.to_thread(started.wait, 15)
    await running.stop()
    assert not ended.is_set()
    assert await unspent(redis, queue, job.id)
    release.set()
    assert await asyncio.to_thread(ended.wait, 15)


async def test_a_handler_that_never_gives_up_does_not_keep_the_worker(
    queue: Queue, start_worker: StartWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_GRACE_SECONDS", "0.1")
    monkeypatch.setattr(slots, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(stopping, "PUT_BACK_SECONDS", 0.1)
    started, give_up = asyncio.Event(), asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext) -> None:
        started.set()
        while not give_up.is_set():
            try:
                await give_up.wait()
            except asyncio.CancelledError:
                continue

    worker = Worker(queue)
    task = asyncio.create_task(worker.run())
    job = await queue.add("build")
    async with asyncio.timeout(25):
        await started.wait()
        worker.stop()
        await task
    assert await unspent(redis, queue, job.id)
    give_up.set()


async def test_a_run_that_is_cancelled_puts_its_jobs_back(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    """Without grace: an application that ends its tasks, a test that is over."""
    running = await start_worker(queue, concurrency=3).ready()

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        await asyncio.Event().wait()

    jobs = await queue.add_many("build", range(5))

    async def three_run() -> bool:
        return (await queue.counts())["active"] == 3

    await eventually(three_run)
    running.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(15):
            await running.task
    for job in jobs:
        assert await unspent(redis, queue, job.id)


async def test_a_stop_before_the_start(queue: Queue) -> None:
    ran = False

    @queue.job("build")
    async def build(job: JobContext) -> None:
        nonlocal ran
        ran = True

    await queue.add("build")
    worker = Worker(queue)
    worker.stop()
    async with asyncio.timeout(15):
        await worker.run()
    assert not ran
    assert (await queue.counts())["waiting"] == 1


async def test_a_stop_while_the_worker_waits_for_its_server(
    make_queue: MakeQueue, unused_tcp_port: int
) -> None:
    worker = Worker(Queue("orders", redis_url=f"redis://127.0.0.1:{unused_tcp_port}"))
    task = asyncio.create_task(worker.run())
    await eventually(lambda: worker._stopping.begun)
    assert not worker.health()["ok"]
    worker.stop()
    async with asyncio.timeout(15):
        await task


async def test_a_stop_under_load_loses_and_spends_nothing(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    runs: list[Any] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        runs.append(data)
        if data % 2:
            await asyncio.sleep(0.001)

    jobs = await queue.add_many("build", range(2_000))
    for _ in range(5):
        running = await start_worker(queue, concurrency=50).ready()
        enough = len(runs) + 100
        await eventually(lambda enough=enough: len(runs) > enough)  # type: ignore[misc]  # bound now
        await running.stop()
        counts = await queue.counts()
        assert counts["active"] == counts["failed"] == 0
        assert counts["waiting"] + counts["completed"] == 2_000
        assert counts["completed"] == len(runs)
    assert len(set(runs)) == len(runs)
    for job in jobs:
        await job.refresh()
        assert job.attempts_made == (1 if job.status == "completed" else 0)
