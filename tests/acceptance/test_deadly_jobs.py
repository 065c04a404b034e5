"""Jobs that kill their worker: found, tried once more, then in the dead letters with that as their reason.

Whatever kind of job it is: scheduled, of a group, a child, cancelled. The others of its worker live on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from service import until
from workers import Ledger, Workers, counts, workers

from corral import Flow, JobFailed, Queue
from corral.adding import AddOptions
from redis_process import RedisProcess

REASON = "died or stalled 2 times"


@pytest.fixture
def group(server: RedisProcess, tmp_path: Path) -> Iterator[Workers]:
    settings = {"CORRAL_LOCK_SECONDS": "1.5", "CORRAL_STALLED_SECONDS": "1"}
    with workers(server, tmp_path, "fire_jobs:queue", **settings) as group:
        yield group


async def let_it_kill(group: Workers, times: int) -> None:
    """Start workers one after the other, as a supervisor does, until so many have died."""
    for _ in range(times):
        process = group.start()
        await asyncio.to_thread(process.wait, 60)
        assert process.returncode < 0
        group.running.remove(process)
    group.start()


async def test_a_neighbour_at_a_death_survives_and_the_killer_does_not(
    server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue
) -> None:
    """Two die: one with all aboard, one with the killer as its only running suspect."""
    innocent = await queue.add_many("gated", [{"n": n} for n in range(1, 6)])
    killer = await queue.add("segfault", {"n": 0})
    process = group.start()
    await asyncio.to_thread(process.wait, 60)
    assert process.returncode < 0
    group.running.remove(process)
    ledger.open()
    dead = asyncio.create_task(_restart_for_ever(group))
    try:
        with pytest.raises(JobFailed, match="died or stalled"):
            await killer.result(timeout=60)
        for job in innocent:
            await job.result(timeout=60)
    finally:
        dead.cancel()
        await asyncio.gather(dead, return_exceptions=True)
    assert len(ledger.runs(0)) == 2
    assert ledger.done() == dict.fromkeys(range(1, 6), 1)


async def test_killers_that_come_together_each_have_their_own_second_death(
    server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue
) -> None:
    innocent = await queue.add("gated", {"n": 9})
    killers = await queue.add_many("segfault", [{"n": n} for n in range(3)])
    ledger.open()
    dead = asyncio.create_task(_restart_for_ever(group))
    try:
        for job in killers:
            with pytest.raises(JobFailed, match="died or stalled"):
                await job.result(timeout=90)
        await innocent.result(timeout=60)
    finally:
        dead.cancel()
        await asyncio.gather(dead, return_exceptions=True)
    assert counts(server, "fire")["failed"] == 3


KINDS: dict[str, AddOptions] = {
    "plain": {},
    "prioritized": {"priority": 5},
    "grouped": {"group": "tenant"},
    "locked": {"lock": "order 7"},
    "with a time limit": {"timeout": 60},
}


@pytest.mark.parametrize("name", ["segfault", "read nothing"])
async def test_a_segfault_is_rescued_once_and_then_a_dead_letter(
    server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue, name: str
) -> None:
    job = await queue.add(name, {"n": 0})
    await let_it_kill(group, 2)
    with pytest.raises(JobFailed, match=REASON):
        await job.result(timeout=60)
    assert len(ledger.runs(0)) == 2
    assert (await job.refresh()).attempts_made == 1  # of five: what kills is not tried five times
    later = await queue.add("sleepy", {"n": 1, "ms": 1})
    assert await later.result(timeout=60) in ledger.runs(1)
    assert counts(server, "fire")["active"] == 0


async def test_so_is_one_of_every_kind(
    server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue
) -> None:
    """All at once: each of them kills; each has its own two deaths."""
    jobs = {
        kind: await queue.add("segfault", {"n": n}, **options)
        for n, (kind, options) in enumerate(KINDS.items())
    }
    behind = await queue.add("sleepy", {"n": 20, "ms": 1}, **KINDS["locked"])
    dead = asyncio.create_task(_restart_for_ever(group))
    try:
        for kind, job in jobs.items():
            with pytest.raises(JobFailed, match="died or stalled"):  # it waited for its turn in some deaths
                await job.result(timeout=90)
            assert len(ledger.runs(list(KINDS).index(kind))) <= 2
        await behind.result(timeout=60)  # the lock is free again
        await (await queue.add("sleepy", {"n": 21, "ms": 1}, **KINDS["grouped"])).result(timeout=60)
    finally:
        dead.cancel()
        await asyncio.gather(dead, return_exceptions=True)
    assert counts(server, "fire")["failed"] == len(KINDS)


async def _restart_for_ever(group: Workers) -> None:
    while True:
        process = group.start()
        while process.poll() is None:
            await asyncio.sleep(0.05)
        group.running.remove(process)


async def test_a_run_of_a_schedule_that_kills(
    server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue
) -> None:
    """BullMQ puts such a job back for ever. The schedule itself goes on."""
    await queue.schedules.upsert("deadly", "segfault", data={"n": 0}, every=3600, immediately=True)
    await let_it_kill(group, 2)
    until(lambda: counts(server, "fire"), lambda places: places["failed"] == 1)
    (job_id,) = server.client.zrange("bull:fire:failed", 0, -1)
    assert REASON in str(server.client.hget(f"bull:fire:{job_id}", "failedReason"))
    assert len(ledger.runs(0)) == 2
    schedule = await queue.schedules.get("deadly")
    assert schedule is not None
    assert schedule.next_run is not None
    assert counts(server, "fire")["delayed"] == 1


async def test_a_child_that_kills_tells_its_parent(
    server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue
) -> None:
    parent = await Flow(queue, "parent", children=[Flow(queue, "segfault", {"n": 0})]).add()
    await let_it_kill(group, 2)
    with pytest.raises(JobFailed):
        await parent.result(timeout=60)
    assert len(ledger.runs(0)) == 2
    assert counts(server, "fire") | {"failed": 0} == dict.fromkeys(counts(server, "fire"), 0)


async def test_a_job_whose_cancelled_run_killed_is_cancelled_and_not_run_again(
    server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue
) -> None:
    """Asked to end, and then its worker dies: whoever has it next ends it without a run."""
    victim = group.start()
    job = await queue.add("freeze", {"n": 0})
    until(lambda: ledger.runs(0), bool)
    await queue.cancel(job.id, "never mind")
    group.kill(victim)
    group.start()
    with pytest.raises(JobFailed, match="never mind"):
        await job.result(timeout=60)
    assert len(ledger.runs(0)) == 1
    assert (await job.refresh()).cancelled


async def test_out_of_memory_in_a_thread_costs_its_job_alone(
    server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue
) -> None:
    group.start(MEMORY_LIMIT_MB="4096")
    hog = await queue.add("hog")
    others = await queue.add_many("sleepy", [{"n": n, "ms": 50} for n in range(50)])
    await asyncio.gather(*(job.result(timeout=60) for job in others))
    with pytest.raises(JobFailed, match="MemoryError"):
        await hog.result(timeout=60)
    assert await (await queue.add("small")).result(timeout=60) == 1 << 20
    assert all(len(ledger.runs(n)) == 1 for n in range(50))
    assert group.running[0].poll() is None
