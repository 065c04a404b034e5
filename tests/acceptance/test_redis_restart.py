"""Redis killed, restarted and frozen under load: workers come back by themselves, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from service import until
from workers import Ledger, counts, workers

from corral import Queue
from corral.bullmq.connection import close_shared_clients
from corral.errors import RedisUnavailable
from redis_process import RedisProcess

#: The guarantee: a worker is back within this many seconds of Redis's return. It bounds a wait, nothing else.
BACK_SECONDS = 5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    folder = tmp_path / "redis"
    folder.mkdir()
    process = RedisProcess("--appendonly", "yes", "--appendfsync", "always", "--dir", str(folder))
    process.start()
    yield process
    process.stop()


async def test_a_killed_and_restarted_redis_loses_no_answered_job(
    server: RedisProcess, tmp_path: Path
) -> None:
    health = tmp_path / "health"
    health.mkdir()
    ledger = Ledger(server)
    queue = Queue("ledger", redis_url=server.url, prefix="bull")
    answered: list[int] = []
    stop = asyncio.Event()
    env = {"CORRAL_LOCK_SECONDS": "3", "CORRAL_STALLED_SECONDS": "1", "WORK_SECONDS": "0.02"}

    with workers(server, health, **env) as group:
        group.start()
        producer = asyncio.create_task(_produce(queue, answered, stop))
        await asyncio.to_thread(until, ledger.count, lambda count: count > 50)
        for _ in range(3):
            server.kill()
            await asyncio.to_thread(until, group.health, _is_red)
            server.start()
            await asyncio.to_thread(_back_in_time, ledger)
            await asyncio.to_thread(until, group.health, _is_green)
        stop.set()
        await producer
        await asyncio.to_thread(until, lambda: counts(server), _is_empty)

    done = ledger.done()
    assert [number for number in answered if number not in done] == []
    assert counts(server)["failed"] == 0
    ledger.close()
    await queue.close()
    await close_shared_clients()


async def test_a_frozen_redis_is_survived(server: RedisProcess, tmp_path: Path) -> None:
    health = tmp_path / "health"
    health.mkdir()
    ledger = Ledger(server)
    queue = Queue("ledger", redis_url=server.url, prefix="bull")
    await queue.add_many("work", [{"n": n} for n in range(2_000)])
    env = {"CORRAL_LOCK_SECONDS": "30", "CORRAL_STALLED_SECONDS": "30", "WORK_SECONDS": "0.05"}

    with workers(server, health, **env) as group:
        group.start()
        await asyncio.to_thread(until, ledger.count, lambda count: count > 50)
        server.freeze()
        await asyncio.to_thread(until, group.health, _is_red)
        server.thaw()
        await asyncio.to_thread(_back_in_time, ledger)
        await asyncio.to_thread(until, lambda: counts(server), _is_empty)

    assert len(ledger.done()) == 2_000
    # What was fetched by a call whose answer came too late went back at once: nothing counted as stalled.
    stalled = [
        key for key in server.client.scan_iter("bull:ledger:*[0-9]") if server.client.hexists(key, "stc")
    ]
    assert stalled == []
    ledger.close()
    await queue.close()
    await close_shared_clients()


async def test_a_worker_that_starts_before_its_redis_waits_for_it(tmp_path: Path) -> None:
    server = RedisProcess()
    health = tmp_path / "health"
    health.mkdir()
    with workers(server, health) as group:
        process = group.start()
        await asyncio.to_thread(until, group.health, _is_red)
        assert process.poll() is None
        server.start()
        queue = Queue("ledger", redis_url=server.url, prefix="bull")
        job = await queue.add("work", {"n": 1})
        assert await job.result(timeout=60) == 1
        await queue.close()
        await close_shared_clients()
    server.stop()


async def _produce(queue: Queue, answered: list[int], stop: asyncio.Event) -> None:
    """Add numbered jobs; only those whose add was answered count."""
    number = 0
    while not stop.is_set():
        try:
            await queue.add("work", {"n": number}, remove_on_complete=True)
            answered.append(number)
        except RedisUnavailable:
            await asyncio.sleep(0.05)
        number += 1
        await asyncio.sleep(0.002)


def _back_in_time(ledger: Ledger) -> None:
    before = ledger.count()
    until(ledger.count, lambda count: count > before, within=BACK_SECONDS)


def _is_red(reports: list[dict[str, object]]) -> bool:
    return any(not report["ok"] for report in reports)


def _is_green(reports: list[dict[str, object]]) -> bool:
    return bool(reports) and all(report["ok"] for report in reports)


def _is_empty(places: dict[str, int]) -> bool:
    return not any(places[place] for place in ("wait", "active", "delayed", "prioritized"))
