"""Living with a server that comes and goes, and saying so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis as sync_redis
from running_worker import StartWorker

from corral import JobContext, Queue, Worker
from corral.bullmq import connection
from corral.bullmq.connection import close_shared_clients
from corral.errors import RedisUnavailable
from corral.worker import idle
from corral.worker import worker as worker_module
from eventually import eventually
from redis_process import RedisProcess

#: What the design promises.
BACK_SECONDS = 5.0


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisProcess]:
    """A server that keeps every write, and may be killed."""
    process = RedisProcess("--dir", str(tmp_path), "--appendonly", "yes", "--appendfsync", "always")
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def queue(server: RedisProcess, start_worker: StartWorker) -> AsyncIterator[Queue]:
    queue = Queue("orders", redis_url=server.url)
    yield queue
    await queue.close()


async def ok(worker: Worker) -> bool:
    return bool(worker.health()["ok"])


async def test_a_healthy_worker(queue: Queue, start_worker: StartWorker) -> None:
    gate = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext) -> None:
        await gate.wait()

    worker = Worker(queue, concurrency=7, name="host-1")
    assert worker.health()["ok"] is False  # not yet
    running = await start_worker(queue, concurrency=7, name="host-1").ready()
    await queue.add("build")
    await eventually(lambda: running.worker.health()["queues"]["orders"]["running"] == 1)
    health = running.worker.health()
    assert (health["ok"], health["worker"], health["stopping"]) == (True, "host-1", False)
    assert health["queues"]["orders"] == {
        "ok": True,
        "running": 1,
        "slots": 7,
        "jobs": 0,
        "redis_away_seconds": None,
    }
    gate.set()
    await running.stop()
    assert running.worker.health()["ok"] is False


async def test_an_idle_worker_stays_healthy(
    queue: Queue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(worker_module, "SILENT_SECONDS", 1.0)
    running = await start_worker(queue).ready()
    (feed,) = running.feeds
    seen = set()

    def ten_answers() -> bool:
        assert running.worker.health()["ok"]
        seen.add(feed.outage.last_answer)
        return len(seen) >= 10

    await eventually(ten_answers)


async def test_a_worker_whose_slots_are_all_busy_is_healthy(
    queue: Queue, start_worker: StartWorker, server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has nothing to ask Redis for; a liveness probe must not kill it for working."""
    monkeypatch.setattr(worker_module, "SILENT_SECONDS", 0.1)
    monkeypatch.setattr(idle, "POLL_SECONDS", 0.02)
    gate = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext) -> None:
        await gate.wait()

    running = await start_worker(queue, concurrency=1).ready()
    await queue.add("build")
    await eventually(lambda: running.worker.health()["queues"]["orders"]["running"] == 1)
    server.client.set("long enough", 1, px=400)

    def over() -> bool:
        assert running.worker.health()["ok"]
        return not server.client.exists("long enough")

    await eventually(over)
    gate.set()


async def test_a_server_that_is_killed_and_comes_back(
    queue: Queue, start_worker: StartWorker, server: RedisProcess
) -> None:
    ran: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        ran.append(data)

    running = await start_worker(queue).ready()
    for number in range(3):
        await queue.add("build", number)
        await eventually(lambda number=number: number in ran)  # type: ignore[misc]  # bound now
        await asyncio.to_thread(server.kill)
        await eventually(lambda: not running.worker.health()["ok"])
        away = running.worker.health()["queues"]["orders"]["redis_away_seconds"]
        assert away is not None
        await asyncio.to_thread(server.start)
        await eventually(lambda: running.worker.health()["ok"], within=BACK_SECONDS)
    assert not running.task.done()


async def test_ends_that_came_while_the_server_was_away_are_written_when_it_is_back(
    queue: Queue, start_worker: StartWorker, server: RedisProcess
) -> None:
    gate = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext, data: int) -> int:
        await gate.wait()
        if data == 1:
            raise ValueError("boom")
        return data

    running = await start_worker(queue).ready()
    jobs = await queue.add_many("build", [0, 1, 2])

    async def all_run() -> bool:
        return (await queue.counts())["active"] == 3

    await eventually(all_run)
    await asyncio.to_thread(server.kill)
    gate.set()
    await eventually(lambda: not running.worker.health()["ok"])
    await asyncio.to_thread(server.start)

    async def written() -> bool:
        counts = await queue.counts()
        return (counts["completed"], counts["delayed"], counts["active"]) == (2, 1, 0)

    await eventually(written, within=BACK_SECONDS)
    assert (await jobs[1].refresh()).failed_reason == "boom"
    assert jobs[1].attempts_made == 1


async def test_what_a_handler_is_told_while_the_server_is_away(
    queue: Queue, start_worker: StartWorker, server: RedisProcess
) -> None:
    started, gate = asyncio.Event(), asyncio.Event()
    told: list[type[Exception] | None] = []

    @queue.job("build")
    async def build(job: JobContext) -> str:
        started.set()
        await gate.wait()
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: job.progress(50),
            lambda: job.log("x"),
            lambda: job.checkpoint({"a": 1}),
            lambda: job.wait_for("check-7", timeout=5),
        ]
        for call in calls:
            try:
                await call()
            except Exception as error:
                told.append(type(error))
            else:
                told.append(None)
        return "done"

    start_worker(queue)
    job = await queue.add("build")
    async with asyncio.timeout(15):
        await started.wait()
    await asyncio.to_thread(server.kill)
    gate.set()
    await eventually(lambda: len(told) == 4)
    await asyncio.to_thread(server.start)
    assert await job.result(timeout=15) == "done"
    # What is worth no attempt is dropped; what the job relies on is not.
    assert told == [None, None, RedisUnavailable, RedisUnavailable]


async def test_a_server_that_hangs_and_comes_back(
    queue: Queue, start_worker: StartWorker, server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "COMMAND_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(idle, "POLL_SECONDS", 0.2)
    ran: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        ran.append(data)
        await asyncio.sleep(0.005)

    await close_shared_clients()  # made with the time-out of before
    running = await start_worker(queue, concurrency=5).ready()
    await queue.add_many("build", range(1_000))
    await eventually(lambda: len(ran) > 100)
    server.freeze()
    try:
        await eventually(lambda: not running.worker.health()["ok"])
    finally:
        server.thaw()
    await eventually(lambda: running.worker.health()["ok"], within=BACK_SECONDS)

    async def all_done() -> bool:
        return (await queue.counts())["completed"] == 1_000

    await eventually(all_done)
    assert len(ran) == len(set(ran)) == 1_000


async def test_a_worker_may_be_started_before_its_server(
    server: RedisProcess, queue: Queue, start_worker: StartWorker
) -> None:
    await asyncio.to_thread(server.kill)
    ran = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext) -> None:
        ran.set()

    running = start_worker(queue)
    await eventually(lambda: running.worker._stopping.begun)
    assert running.worker.health()["ok"] is False
    await asyncio.to_thread(server.start)
    await eventually(lambda: running.worker.health()["ok"], within=BACK_SECONDS)
    await queue.add("build")
    async with asyncio.timeout(15):
        await ran.wait()


async def test_an_empty_server_after_a_loss_is_worked_with(
    queue: Queue, start_worker: StartWorker, server: RedisProcess
) -> None:
    """All data gone while jobs run: their ends are refused, and new jobs are run."""
    gate = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext, data: int) -> int:
        if data == 0:
            await gate.wait()
        return data

    running = await start_worker(queue).ready()
    await queue.add("build", 0)
    await eventually(lambda: running.worker.health()["queues"]["orders"]["running"] == 1)
    server.client.flushall()
    gate.set()
    (feed,) = running.feeds
    await eventually(lambda: feed.state.lost == 1)
    assert await (await queue.add("build", 7)).result(timeout=15) == 7
    assert await queue.counts() | {"completed": 0} == dict.fromkeys(await queue.counts(), 0)


async def test_a_full_server_does_not_end_the_worker(
    queue: Queue, start_worker: StartWorker, server: RedisProcess
) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: int) -> int:
        return data

    jobs = await queue.add_many("build", range(100))
    server.client.config_set("maxmemory", 1)
    running = await start_worker(queue).ready()
    await eventually(lambda: (feed := running.worker._feeds[0]).outage.away_since or feed.state.fetched)
    server.client.config_set("maxmemory", 0)
    for job in jobs:
        assert await job.result(timeout=15) == job.data


async def test_connections_that_are_cut_one_by_one(
    queue: Queue, start_worker: StartWorker, server: RedisProcess
) -> None:
    ran: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        ran.append(data)
        await asyncio.sleep(0.001)

    running = await start_worker(queue, concurrency=10).ready()
    await queue.add_many("build", range(2_000))
    cuts = 0

    async def cut_until_done() -> bool:
        nonlocal cuts
        if cuts < 30:
            cuts += 1
            with sync_redis.Redis(port=server.port) as client:
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            return False
        try:
            counts = await queue.counts()
        except Exception:
            return False
        return counts["completed"] == 2_000 and not counts["active"]

    await eventually(cut_until_done, within=30)
    assert len(set(ran)) == 2_000
    assert not running.task.done()
