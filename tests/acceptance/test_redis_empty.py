"""Redis comes back empty: no jobs, no scripts, no schedules. Workers and callers go on from there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from service import until
from workers import Ledger, Workers, counts, workers

from corral import Queue, Worker
from corral.bullmq.connection import close_shared_clients
from corral.errors import JobNotFound
from redis_process import RedisProcess


@pytest.fixture
def ledger_server() -> Iterator[RedisProcess]:
    process = RedisProcess()
    process.start()
    yield process
    process.stop()


@pytest.fixture
def ledger(ledger_server: RedisProcess) -> Iterator[Ledger]:
    ledger = Ledger(ledger_server)
    yield ledger
    ledger.close()


@pytest.fixture
def group(server: RedisProcess, ledger_server: RedisProcess, tmp_path: Path) -> Iterator[Workers]:
    settings = {"CORRAL_LOCK_SECONDS": "1", "CORRAL_STALLED_SECONDS": "1"}
    with workers(server, tmp_path, "fire_jobs:queue", **settings) as group:
        yield group


async def restart_empty(server: RedisProcess, group: Workers) -> None:
    server.kill()
    await asyncio.to_thread(until, group.health, lambda all_: any(not one["ok"] for one in all_))
    server.start()
    assert server.client.dbsize() == 0


async def test_a_worker_goes_on_with_what_comes_and_says_so(
    server: RedisProcess, ledger_server: RedisProcess, ledger: Ledger, group: Workers, queue: Queue
) -> None:
    process = group.start(LEDGER_URL=f"{ledger_server.url}/1")
    lost = await queue.add_many("gated", [{"n": n} for n in range(5)])
    until(lambda: ledger.started(range(5)), lambda started: len(started) == 5)
    waiting = [asyncio.create_task(job.result(timeout=60)) for job in lost]
    blocked = lambda: server.client.info("clients")["blocked_clients"]  # noqa: E731  # one look, with a name
    await asyncio.to_thread(until, blocked, lambda clients: clients == 2)  # the worker and who waits
    await restart_empty(server, group)
    await asyncio.to_thread(until, group.health, lambda all_: all(one["ok"] for one in all_))
    # Who waits for a job that is gone is told so.
    for ended in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(ended, JobNotFound)
    fresh = await queue.add_many("sleepy", [{"n": 100 + n, "ms": 1} for n in range(5)])
    assert {job.id for job in fresh} == {job.id for job in lost}
    assert [await job.result(timeout=30) for job in fresh] == [process.pid] * 5
    # Runs of jobs that are gone are ended like those of a lost lock, once their locks are looked at.
    until(lambda: sum(one["queues"]["fire"]["running"] for one in group.health()), lambda n: n == 0)
    ledger.open()
    after = await queue.add("sleepy", {"n": 200, "ms": 1})
    await after.result(timeout=30)
    assert set(ledger.done()) == {*range(100, 105), 200}
    for job in fresh:
        assert server.client.hget(f"bull:fire:{job.id}", "name") == "sleepy"
        assert server.client.hget(f"bull:fire:{job.id}", "atm") == "1"
    assert counts(server, "fire") | {"completed": 6} == dict.fromkeys(counts(server, "fire"), 0) | {
        "completed": 6
    }
    # Delays, cancellation and signals use scripts that went with the server's memory.
    delayed = await queue.add("sleepy", {"n": 300, "ms": 1}, delay=0.2)
    assert await delayed.result(timeout=30) == process.pid


def running_in(report: dict[str, Any]) -> int:
    """Jobs that a process runs, by its health."""
    return sum(queue["running"] for queue in report["queues"].values())


async def test_new_jobs_with_old_numbers_are_not_ended_by_old_runs(
    server: RedisProcess, ledger_server: RedisProcess, ledger: Ledger, group: Workers, queue: Queue
) -> None:
    """Ids are counted from 1 again: an end that comes late must not be taken for that of its namesake."""
    process = group.start(LEDGER_URL=f"{ledger_server.url}/1")
    old = await queue.add_many("gated", [{"n": n} for n in range(5)])
    until(lambda: ledger.started(range(5)), lambda started: len(started) == 5)
    await restart_empty(server, group)
    new = await queue.add_many("gated", [{"n": 100 + n} for n in range(5)])
    assert [job.id for job in new] == [job.id for job in old]
    until(lambda: ledger.started(range(100, 105)), lambda started: len(started) == 5)
    ledger.open()
    assert [await job.result(timeout=30) for job in new] == [process.pid] * 5
    # The old ones end late, or are stopped for the locks that they have lost: a matter of moments.
    until(group.health, lambda reports: not any(running_in(report) for report in reports))
    assert [len(ledger.runs(100 + n)) for n in range(5)] == [1] * 5
    rows: Any = server.client.xrange("bull:fire:events")
    completed = [fields["jobId"] for _, fields in rows if fields["event"] == "completed"]
    assert sorted(completed) == sorted(job.id for job in new)


async def test_schedules_that_the_code_declares_come_back(server: RedisProcess, tmp_path: Path) -> None:
    with workers(server, tmp_path, "recurring_jobs:queue", CORRAL_STALLED_SECONDS="0.5") as group:
        group.start()
        until(lambda: counts(server, "recurring"), lambda places: places["completed"] > 0)
        before = server.client.zrange("bull:recurring:repeat", 0, -1)
        await restart_empty(server, group)
        until(lambda: counts(server, "recurring"), lambda places: places["completed"] > 0)
        assert server.client.zrange("bull:recurring:repeat", 0, -1) == before == ["often"]


async def test_a_run_until_empty_ends(server: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing left, so it is done; the jobs that ran end with nobody to tell."""
    queue = Queue("fire", redis_url=server.url, prefix="bull")
    gate, started = asyncio.Event(), asyncio.Event()

    @queue.job("build")
    async def build(job: object) -> None:
        started.set()
        await gate.wait()

    await queue.add_many("build", [None] * 50)
    run = asyncio.create_task(Worker(queue, concurrency=5).run(until_empty=True))
    await asyncio.wait_for(started.wait(), 30)
    await asyncio.to_thread(server.kill)
    gate.set()
    await asyncio.to_thread(server.start)
    await asyncio.wait_for(run, 60)
    assert counts(server, "fire") == dict.fromkeys(counts(server, "fire"), 0)
    await queue.close()
    await close_shared_clients()


async def test_who_follows_the_events_is_told_of_the_gap(server: RedisProcess, queue: Queue) -> None:
    await queue.add_many("sleepy", [{"n": 1}] * 3)
    async with aclosing(queue.events(after="0")) as events:
        seen = [(await anext(events)).name for _ in range(3)]
        following = asyncio.create_task(_until_added(events))
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        await queue.add("sleepy", {"n": 1})
        names = await asyncio.wait_for(following, 30)
    assert set(seen) <= {"added", "waiting"}
    assert "gap" in names
    assert names.index("gap") < names.index("waiting", names.index("gap"))


async def _until_added(events: Any) -> list[str]:
    names: list[str] = []
    async for event in events:
        names.append(event.name)
        if "gap" in names and event.name == "waiting":
            return names
    return names
