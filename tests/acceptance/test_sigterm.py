"""SIGTERM: nothing new is taken, what runs gets the grace time, the rest goes back unspent."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from service import until
from workers import Ledger, counts, workers

from corral import Queue
from corral.bullmq.connection import close_shared_clients
from redis_process import RedisProcess


async def test_running_jobs_finish_within_the_grace_time(server: RedisProcess, tmp_path: Path) -> None:
    queue = Queue("ledger", redis_url=server.url, prefix="bull")
    await queue.add_many("work", [{"n": n} for n in range(200)])
    ledger = Ledger(server)

    with workers(server, tmp_path, CORRAL_GRACE_SECONDS="20", WORK_SECONDS="1") as group:
        process = group.start()
        await asyncio.to_thread(until, lambda: counts(server), lambda c: c["active"] == 20)
        started = {n for n in range(200) if ledger.runs(n)}
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0

    left = counts(server)
    assert left["active"] == 0
    assert left["failed"] == 0
    assert left["completed"] + left["wait"] == 200
    assert left["wait"] > 0
    done = set(ledger.done())
    assert len(done) == left["completed"]
    assert started <= done
    assert {n for n in range(200) if ledger.runs(n)} == done  # none was cut off
    ledger.close()
    await queue.close()
    await close_shared_clients()


async def test_what_outlasts_the_grace_time_goes_back_unspent(server: RedisProcess, tmp_path: Path) -> None:
    queue = Queue("ledger", redis_url=server.url, prefix="bull")
    jobs = await queue.add_many("work", [{"n": n} for n in range(30)])

    with workers(server, tmp_path, CORRAL_GRACE_SECONDS="0.5", WORK_SECONDS="600") as group:
        process = group.start()
        await asyncio.to_thread(until, lambda: counts(server), lambda c: c["active"] == 20)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0

    assert counts(server) == {
        "wait": 30,
        "active": 0,
        "delayed": 0,
        "prioritized": 0,
        "completed": 0,
        "failed": 0,
    }
    for job in jobs:
        seen = await queue.get(job.id)
        assert seen is not None
        assert seen.status == "waiting"
        assert seen.attempts_made == 0
    locks = list(server.client.scan_iter("bull:ledger:*:lock"))
    assert locks == []
    await queue.close()
    await close_shared_clients()


async def test_a_second_signal_ends_the_grace_time(server: RedisProcess, tmp_path: Path) -> None:
    queue = Queue("ledger", redis_url=server.url, prefix="bull")
    await queue.add("work", {"n": 1})

    with workers(server, tmp_path, CORRAL_GRACE_SECONDS="600", WORK_SECONDS="600") as group:
        process = group.start()
        await asyncio.to_thread(until, lambda: counts(server), lambda c: c["active"] == 1)
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(until, group.health, lambda reports: any(r["stopping"] for r in reports))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0

    assert counts(server)["wait"] == 1
    await queue.close()
    await close_shared_clients()


@pytest.mark.parametrize("name", ["thread", "stubborn"])
async def test_what_cannot_be_stopped_does_not_keep_the_process(
    server: RedisProcess, tmp_path: Path, name: str
) -> None:
    queue = Queue("ledger", redis_url=server.url, prefix="bull")
    job = await queue.add(name)

    with workers(server, tmp_path, CORRAL_GRACE_SECONDS="0.2", WORK_SECONDS="600") as group:
        process = group.start()
        await asyncio.to_thread(until, lambda: counts(server), lambda c: c["active"] == 1)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0

    await job.refresh()
    assert (job.status, job.attempts_made) == ("waiting", 0)
    await queue.close()
    await close_shared_clients()


@pytest.mark.parametrize("when", ["before it was there", "after it went"])
async def test_a_worker_without_its_redis_can_be_stopped(tmp_path: Path, when: str) -> None:
    server = RedisProcess()
    with workers(server, tmp_path, CORRAL_GRACE_SECONDS="0.2") as group:
        if when == "after it went":
            server.start()
        process = group.start()
        ok = when == "after it went"
        await asyncio.to_thread(until, group.health, lambda reports: any(r["ok"] == ok for r in reports))
        if when == "after it went":
            server.kill()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0
    server.stop()
