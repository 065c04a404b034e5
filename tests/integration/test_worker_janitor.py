"""The janitor of running workers: what has had its time goes, though no job finishes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain
from structlog.testing import capture_logs

from corral import JobContext, Keep, Queue, Retention, Retry
from corral.bullmq.connection import close_shared_clients
from corral.worker import janitor
from eventually import eventually
from redis_process import RedisProcess


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janitor, "INTERVAL_SECONDS", 0.05)


async def run(job: JobContext, data: int) -> int:
    await job.log("a row")
    if data < 0:
        raise ValueError("below zero")
    return data


async def finish(queue: Queue, data: list[int]) -> None:
    queue.jobs or queue.job("x")(run)
    await queue.add_many("x", data, remove_on_complete=False, remove_on_fail=False)
    await drain(queue)


async def test_workers_apply_the_retention_of_a_queue_at_rest(
    make_queue: MakeQueue, redis: Redis, start_worker: StartWorker
) -> None:
    queue = make_queue(
        retention=Retention(completed=Keep(count=3), failed=Keep(age=0.5)), retry=Retry(attempts=1)
    )
    await finish(queue, [1, 2, 3, 4, 5, -1, -2])
    await start_worker(queue).ready()
    await start_worker(queue).ready()

    await eventually(lambda: _left(queue, 3, 0))
    hashes = {key async for key in redis.scan_iter(f"{queue.keys().base}[0-9]*", _type="hash")}
    logs = {key async for key in redis.scan_iter(f"{queue.keys().base}*:logs")}
    assert len(hashes) == len(logs) == 3
    assert queue.keys().janitor() == f"corral:{queue.keys().prefix}:{queue.name}:janitor"


async def _left(queue: Queue, completed: int, failed: int) -> bool:
    counts = await queue.counts()
    return (counts["completed"], counts["failed"]) == (completed, failed)


async def test_one_worker_an_interval_does_it(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retention=Retention(completed=Keep(count=1)))
    await redis.set(queue.keys().janitor(), "another worker's turn")
    await finish(queue, [1, 2, 3])
    asked: asyncio.Event = asyncio.Event()

    def rand() -> float:
        if asked.is_set():
            turns.append(1)
        asked.set()
        return 0.0

    turns: list[int] = []
    keeping = asyncio.create_task(janitor.keep_house(queue, interval_seconds=0.01, rand=rand))
    await eventually(lambda: len(turns) > 5)
    assert await _left(queue, 3, 0)
    await redis.delete(queue.keys().janitor())
    await eventually(lambda: _left(queue, 1, 0))
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_queue_that_keeps_everything_needs_no_janitor(make_queue: MakeQueue) -> None:
    queue = make_queue(retention=Retention(completed=Keep(), failed=Keep()))
    async with asyncio.timeout(10):
        await janitor.keep_house(queue)


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    process = RedisProcess()
    process.start()
    yield process
    process.stop()


async def test_it_outlives_a_redis_that_is_away(server: RedisProcess) -> None:
    queue = Queue("own", redis_url=server.url, retention=Retention(completed=Keep(count=1)))
    await finish(queue, [1])
    server.kill()
    with capture_logs() as logs:
        keeping = asyncio.create_task(janitor.keep_house(queue, interval_seconds=0.01))
        await eventually(lambda: [row for row in logs if row["event"] == "retention_failed"])
        server.start()
        await finish(queue, [1, 2])
        await eventually(lambda: _left(queue, 1, 0))
        await eventually(lambda: [row for row in logs if row["event"] == "retention_applied"])
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await close_shared_clients()
