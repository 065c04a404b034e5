"""The scaler beside a supervisor: what it sees, when it changes nothing, what it keeps."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from running_worker import MakeQueue

from corral import Objective, Queue, Settings
from corral.bullmq.connection import close_shared_clients
from corral.scaling import scaling_decisions
from corral.worker import scaling
from corral.worker.autoscale import Bounds
from corral.worker.memory import Memory
from corral.worker.scaling import Scaler
from corral.worker.seat import Seat
from eventually import eventually
from redis_process import RedisProcess


class Boss:
    """Stands for the supervisor."""

    def __init__(self) -> None:
        self.processes = 1
        self.changeable = True
        self.reasons: list[str] = []

    def seats(self) -> list[Seat]:
        seat = Seat()
        seat.pid = os.getpid()
        return [seat]

    def scale_to(self, processes: int, reason: str) -> None:
        self.processes = processes
        self.reasons.append(reason)


@pytest.fixture
async def backlog(make_queue: MakeQueue) -> Queue:
    """500 jobs that wait; 20 more run, as BullMQ's list has it, and fill the slots of one process."""
    queue = make_queue("load", objective=Objective(drain=1, age=0.001))
    await queue.add_many("work", [None] * 500)
    await queue.client().lpush(queue.keys().active, *(f"x{n}" for n in range(20)))
    return queue


def report(folder: Path, **more: Any) -> None:
    """As a process writes it."""
    queues = {"load": {"jobs": 0, "running": 20}}
    text = {"pid": os.getpid(), "ok": True, "written_at": time.time(), "queues": queues, **more}
    (folder / "worker.json").write_text(json.dumps(text))


def scaler_of(queue: Queue, folder: Path) -> Scaler:
    settings = Settings(_env_file=None, scale_interval_seconds=0.02, scale_up_seconds=60)
    return Scaler([queue], 20, Bounds(least=1, most=8), settings, folder)


@contextlib.asynccontextmanager
async def beside(scaler: Scaler, boss: Boss) -> AsyncIterator[None]:
    task = asyncio.create_task(scaler.run(boss))  # type: ignore[arg-type]  # a stand-in
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_changes_the_number_and_keeps_why(backlog: Queue, tmp_path: Path) -> None:
    boss = Boss()
    report(tmp_path)
    async with beside(scaler_of(backlog, tmp_path), boss):
        await eventually(lambda: boss.processes == 2)

        async def kept() -> Any:
            return await scaling_decisions(backlog.client(), "bull")

        (grown,) = await eventually(kept)
    assert (grown.before, grown.after, grown.obstacle, grown.reason) == (1, 2, "", boss.reasons[0])
    assert (grown.inputs["load"].waiting, grown.inputs["load"].active) == (500, 20)


@pytest.mark.parametrize("obstacle", ["frozen", "memory"])
async def test_a_quiet_host_and_a_full_one_do_not_grow(
    backlog: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    boss = Boss()
    report(tmp_path, quiet=obstacle == "frozen")
    if obstacle == "memory":
        monkeypatch.setattr(scaling, "memories", lambda: [Memory(1_000, 50)])
    with structlog.testing.capture_logs() as events:
        async with beside(scaler_of(backlog, tmp_path), boss):
            told = await eventually(lambda: [e for e in events if e["event"] == "workers_not_scaled"])
    assert [event["obstacle"] for event in told] == [obstacle]
    assert boss.processes == 1


async def test_while_nothing_may_change_it_does_not_look(backlog: Queue, tmp_path: Path) -> None:
    class Stopping(Boss):
        asked = 0

        @property
        def changeable(self) -> bool:
            self.asked += 1
            return False

        @changeable.setter
        def changeable(self, value: bool) -> None: ...

    boss = Stopping()
    async with beside(scaler_of(backlog, tmp_path), boss):
        await eventually(lambda: boss.asked > 3)
    assert boss.processes == 1
    assert await scaling_decisions(backlog.client(), "bull") == []


async def test_redis_may_go_away_and_come_back(tmp_path: Path) -> None:
    server = RedisProcess()
    server.start()
    queue = Queue("load", redis_url=server.url, prefix="bull", objective=Objective(drain=1, age=0.001))
    boss = Boss()
    try:
        with structlog.testing.capture_logs() as events:
            server.kill()
            async with beside(scaler_of(queue, tmp_path), boss):
                await eventually(lambda: [e for e in events if e["event"] == "scaling_lost"])
                server.start()
                await eventually(lambda: [e for e in events if e["event"] == "scaling_back"])
        assert sum(event["event"] == "scaling_lost" for event in events) == 1
        assert boss.processes == 1
    finally:
        await queue.close()
        await close_shared_clients()
        server.stop()
