"""Supervisors under test: the diary that their children write, and the run that is always ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil

from corral.worker.supervise import Supervisor

#: Seconds that anything here may take; far above what it does take.
BOUND = 20.0


class Diary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def pids(self, word: str) -> list[int]:
        if not self.path.exists():
            return []
        return [int(line.split()[1]) for line in self.path.read_text().splitlines() if line.startswith(word)]

    async def lines(self, word: str, count: int) -> list[int]:
        await until(lambda: len(self.pids(word)) >= count)
        return self.pids(word)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND):
        while not condition():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(supervisor: Supervisor) -> AsyncIterator[asyncio.Task[int]]:
    run = asyncio.create_task(supervisor.run())
    try:
        async with asyncio.timeout(BOUND):
            yield run
    finally:
        supervisor.stop()
        await asyncio.wait([run], timeout=BOUND)


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) for pid in pids)
