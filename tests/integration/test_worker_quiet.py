"""A worker that is quiet takes nothing new and stays; one that drains ends by itself after its last job."""

from __future__ import annotations

import asyncio

import pytest
from running_worker import Redis, RunningWorker, StartWorker

from corral import JobContext, Queue
from corral.worker import worker as worker_module
from eventually import eventually


class Gate:
    """A handler that waits to be let through."""

    def __init__(self, queue: Queue) -> None:
        self.open = asyncio.Event()
        self.started: list[int] = []

        @queue.job("build")
        async def build(job: JobContext, data: int) -> int:
            self.started.append(data)
            await self.open.wait()
            return data


@pytest.fixture
def gate(queue: Queue) -> Gate:
    return Gate(queue)


async def busy(queue: Queue, gate: Gate, start_worker: StartWorker) -> RunningWorker:
    running = await start_worker(queue, concurrency=2).ready()
    await queue.add_many("build", range(5))
    await eventually(lambda: len(gate.started) == 2)
    return running


async def test_quiet_ends_what_runs_takes_nothing_new_and_stays_well(
    queue: Queue, gate: Gate, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await busy(queue, gate, start_worker)
    running.worker.quiet()
    gate.open.set()
    await eventually(lambda: running.worker.health()["jobs"] == 2)
    monkeypatch.setattr(worker_module, "SILENT_SECONDS", 0.0)  # a quiet worker asks Redis nothing
    health = running.worker.health()
    assert (health["ok"], health["quiet"], health["stopping"]) == (True, True, False)
    assert (await queue.counts())["waiting"] == 3
    await running.stop()
    assert gate.started == [0, 1]


async def test_another_worker_hears_of_the_next_job_at_once(
    queue: Queue, gate: Gate, start_worker: StartWorker, redis: Redis
) -> None:
    """The quiet one had asked for the marker first, so it is the one that gets it."""
    quiet = await start_worker(queue, name="quiet").ready()
    await eventually(lambda: _blocked(redis, 1))
    other = await start_worker(queue, name="other").ready()
    await eventually(lambda: _blocked(redis, 2))
    quiet.worker.quiet()
    gate.open.set()
    job = await queue.add("build", 7)
    assert await job.result(timeout=15) == 7
    assert (quiet.worker.health()["jobs"], other.worker.health()["jobs"]) == (0, 1)


async def _blocked(redis: Redis, count: int) -> bool:
    return int((await redis.info("clients"))["blocked_clients"]) >= count


async def test_drained_it_ends_by_itself_after_its_last_job(
    queue: Queue, gate: Gate, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_GRACE_SECONDS", "0")
    running = await busy(queue, gate, start_worker)
    running.worker.drain()
    later = await queue.add("build", 9)
    await eventually(lambda: running.worker.health()["draining"])
    assert not running.task.done()
    gate.open.set()
    async with asyncio.timeout(15):
        await running.task
    assert gate.started == [0, 1]
    assert await queue.counts() | {"completed": 2, "waiting": 4, "active": 0} == await queue.counts()
    assert (await later.refresh()).status == "waiting"


async def test_a_draining_worker_that_is_stopped_gives_its_jobs_back(
    queue: Queue, gate: Gate, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_GRACE_SECONDS", "0")
    running = await busy(queue, gate, start_worker)
    running.worker.drain()
    running.worker.stop()
    async with asyncio.timeout(15):
        await running.task
    counts = await queue.counts()
    assert (counts["waiting"], counts["active"], counts["failed"]) == (5, 0, 0)
