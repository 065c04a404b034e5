"""Workers that vanish and come back: cut off from Redis, or frozen, for shorter or longer than their locks.

What a worker that was away for too long still believes to hold is another's: it may change nothing of it.
What one that was away for a moment holds is its own: nothing may be lost, or run twice.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service import until
from workers import Ledger, Workers, counts, workers

from corral import Job, Queue
from fault_proxy import FaultProxy
from redis_process import RedisProcess

JOBS = 10

#: With stalled checks as far apart as locks live, jobs that never ran are held by their stamp at first.
LOCK_SECONDS = 2
SETTINGS = {"CORRAL_LOCK_SECONDS": str(LOCK_SECONDS), "CORRAL_STALLED_SECONDS": str(LOCK_SECONDS)}


@pytest.fixture
def proxy(server: RedisProcess) -> Iterator[FaultProxy]:
    proxy = FaultProxy(server.port).start()
    yield proxy
    proxy.stop()


@pytest.fixture
def group(server: RedisProcess, tmp_path: Path) -> Iterator[Workers]:
    with workers(server, tmp_path, "fire_jobs:queue", **SETTINGS) as group:
        yield group


def history(server: RedisProcess, job_id: str) -> list[str]:
    """What the event stream tells of a job."""
    rows: Any = server.client.xrange("bull:fire:events")
    return [fields["event"] for _, fields in rows if fields.get("jobId") == job_id]


def everything(server: RedisProcess) -> dict[str, Any]:
    """All that Redis holds of the queue, but what comes and goes by itself."""
    passing = ("stalled-check", "stalled", "marker", "events", "meta")
    content: dict[str, Any] = {}
    for key in server.client.scan_iter("bull:fire:*"):
        if key.rsplit(":", 1)[1] in passing:
            continue
        content[key] = _read(server, key)
    return content


def _read(server: RedisProcess, key: str) -> Any:
    client = server.client
    match client.type(key):
        case "hash":
            return client.hgetall(key)
        case "list":
            return client.lrange(key, 0, -1)
        case "zset":
            return client.zrange(key, 0, -1, withscores=True)
        case "set":
            return client.smembers(key)
        case _:
            return client.get(key)


def wait_in_redis(server: RedisProcess, seconds: float) -> None:
    """Until a key of Redis has run out: the clock that locks run by."""
    server.client.set("so long", 1, px=round(seconds * 1000))
    until(lambda: server.client.exists("so long"), lambda there: not there)


async def busy(server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue, *, old: bool) -> list[Job]:
    """Its only worker runs these jobs. `old`: they have their locks; else it froze in their first moment."""
    until(group.health, lambda reports: any(report["ok"] for report in reports))
    jobs = await queue.add_many("gated", [{"n": n} for n in range(JOBS)], remove_on_complete=False)
    locks = [f"bull:fire:{job.id}:lock" for job in jobs]
    if old:
        until(lambda: server.client.exists(*locks), lambda n: n == JOBS)
        return jobs
    await queue.add("freeze", {"n": JOBS})
    until(lambda: ledger.runs(JOBS), bool)
    assert server.client.llen("bull:fire:active") == JOBS + 1
    assert server.client.exists(*locks) == 0
    return jobs


@pytest.mark.parametrize("fault", ["held", "dropped"])
async def test_a_worker_cut_off_for_longer_than_its_locks_changes_nothing_when_it_is_back(
    server: RedisProcess, proxy: FaultProxy, group: Workers, ledger: Ledger, queue: Queue, fault: str
) -> None:
    """`held`: what it wrote in the dark even arrives, late, as TCP delivers it after a partition."""
    cut_off = group.start(REDIS_URL=proxy.url)
    jobs = await queue.add_many("gated", [{"n": n} for n in range(JOBS)], remove_on_complete=False)
    until(lambda: ledger.started(range(JOBS)), lambda started: len(started) == JOBS)
    if fault == "held":
        proxy.hold()
    else:
        proxy.drop()
    ledger.open(cut_off.pid)  # it ends all of them and cannot say so
    until(ledger.done, lambda done: len(done) == JOBS)
    heir = group.start()
    until(lambda: {n: len(ledger.runs(n)) for n in range(JOBS)}, lambda runs: set(runs.values()) == {2})
    ledger.open()
    until(lambda: counts(server, "fire"), lambda places: places["completed"] == JOBS)
    before = everything(server)
    proxy.heal()
    until(group.health, lambda reports: len(reports) == 2 and all(report["ok"] for report in reports))
    after = await queue.add("gated", {"n": JOBS})
    await after.result(timeout=30)
    written = everything(server)
    assert {key: written[key] for key in before if key.rsplit(":", 1)[1].isdigit()} == {
        key: value for key, value in before.items() if key.rsplit(":", 1)[1].isdigit()
    }
    for job in jobs:
        assert (await job.refresh()).status == "completed"
        assert job.result_value == heir.pid
        assert history(server, job.id).count("completed") == 1
        assert history(server, job.id).count("failed") == 0
    assert counts(server, "fire") | {"completed": 0} == dict.fromkeys(counts(server, "fire"), 0)


async def test_a_worker_cut_off_for_a_moment_keeps_its_jobs(
    server: RedisProcess, proxy: FaultProxy, group: Workers, ledger: Ledger, queue: Queue
) -> None:
    """Its locks have a third of their life behind them at most, and another worker waits for them."""
    cut_off = group.start(REDIS_URL=proxy.url)
    jobs = await queue.add_many("gated", [{"n": n} for n in range(JOBS)], remove_on_complete=False)
    until(lambda: ledger.started(range(JOBS)), lambda started: len(started) == JOBS)
    group.start()
    until(lambda: server.client.exists(*(f"bull:fire:{job.id}:lock" for job in jobs)), lambda n: n == JOBS)
    for _ in range(3):
        proxy.hold()
        wait_in_redis(server, LOCK_SECONDS / 3)
        proxy.heal()
        # So that it has kept its locks in between.
        until(
            lambda: min(server.client.pttl(f"bull:fire:{job.id}:lock") for job in jobs),
            lambda left: left > LOCK_SECONDS * 800,
        )
    ledger.open()
    until(lambda: counts(server, "fire"), lambda places: places["completed"] == JOBS)
    assert [await job.result(timeout=30) for job in jobs] == [cut_off.pid] * JOBS
    assert [ledger.runs(n) for n in range(JOBS)] == [[cut_off.pid]] * JOBS


@pytest.mark.parametrize("old", [False, True], ids=["jobs without a lock yet", "jobs with their locks"])
async def test_a_worker_killed_with_jobs_of_any_age_loses_none(
    server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue, old: bool
) -> None:
    victim = group.start()
    jobs = await busy(server, group, ledger, queue, old=old)
    group.kill(victim)
    heir = group.start()
    ledger.open()
    until(lambda: counts(server, "fire"), lambda places: not places["active"] and not places["wait"])
    assert [await job.result(timeout=30) for job in jobs] == [heir.pid] * JOBS
    assert ledger.done() == dict.fromkeys(range(len(ledger.done())), 1)
    assert list(server.client.scan_iter("bull:fire:*:lock")) == []
    for job in jobs:
        stored = server.client.hgetall(f"bull:fire:{job.id}")
        assert (stored["atm"], stored["stc"]) == ("1", "1")  # no attempt spent, one death counted


@pytest.mark.parametrize("old", [False, True], ids=["jobs without a lock yet", "jobs with their locks"])
async def test_a_worker_frozen_past_its_locks_changes_nothing_when_it_thaws(
    server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue, old: bool
) -> None:
    frozen = group.start()
    jobs = await busy(server, group, ledger, queue, old=old)
    frozen.send_signal(signal.SIGSTOP)
    try:
        heir = group.start()
        ledger.open(heir.pid)
        until(lambda: counts(server, "fire"), lambda places: not places["active"] and not places["wait"])
        before = everything(server)
        ledger.open(frozen.pid)
    finally:
        frozen.send_signal(signal.SIGCONT)
    until(group.health, lambda reports: len(reports) == 2 and all(report["ok"] for report in reports))
    # It has said what it had to say once it runs jobs again.
    ledger.open()
    more = await queue.add_many("sleepy", [{"n": n, "ms": 1} for n in range(100, 300)])
    await asyncio.gather(*(job.result(timeout=60) for job in more))
    written = everything(server)
    for job in jobs:
        key = f"bull:fire:{job.id}"
        assert written[key] == before[key]
        assert (await job.refresh()).result_value == heir.pid
        assert history(server, job.id).count("completed") == 1
        assert not {"failed", "delayed"} & set(history(server, job.id))
    assert counts(server, "fire")["failed"] == 0


async def test_a_worker_frozen_for_a_moment_loses_and_repeats_nothing(
    server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue
) -> None:
    total = 400
    frozen = group.start()
    group.start()
    jobs = await queue.add_many("sleepy", [{"n": n, "ms": 100} for n in range(total)])
    until(ledger.count, lambda done: done > 20)
    for goal in (60, 120, 180):
        until(ledger.count, lambda done, goal=goal: done > goal)  # type: ignore[misc]  # bound now
        frozen.send_signal(signal.SIGSTOP)
        wait_in_redis(server, LOCK_SECONDS / 3)
        frozen.send_signal(signal.SIGCONT)
    await asyncio.gather(*(job.result(timeout=60) for job in jobs))
    assert ledger.done() == dict.fromkeys(range(total), 1)
    assert all(len(ledger.runs(n)) == 1 for n in range(total))
