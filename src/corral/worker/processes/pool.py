"""The child processes of one worker: as many as needed, at most `size`, each running one job at a time.

They start when first needed and stay for the next job. One that has run `max_jobs`, or that holds too much
memory after a job, is replaced; one that died, or whose job was stopped, is ended and its place is free.

Emits: child_started (pid, seconds), child_ended (pid, jobs, why), child_over_memory (pid, megabytes).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator

import structlog

from corral.errors import ConfigurationError
from corral.worker.processes.child import Child

log = structlog.get_logger(__name__)

#: How often working children are looked at: their memory, and whether they live.
WATCH_SECONDS = 1.0

#: A child that keeps this part of its limit after a job is replaced: the next job must not pay for this one.
REPLACE_SHARE = 0.75

MEGABYTE = 2**20


def cores() -> int:
    """Cores that this process may use: containers and taskset narrow what the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ProcessPool:
    """size: children at most; None: one a core. max_jobs: a child is replaced after so many; None: never.
    max_memory_mb: resident memory of a child; None: no limit.
    """

    def __init__(
        self, size: int | None = None, *, max_jobs: int | None = None, max_memory_mb: float | None = None
    ) -> None:
        for name, value in (
            ("processes", size), ("max_jobs_per_child", max_jobs), ("max_child_memory_mb", max_memory_mb),
        ):  # fmt: skip
            if value is not None and not value > 0:
                raise ConfigurationError(f"{name}={value}: above zero, or None.")
        self.size = size or cores()
        self._max_jobs = max_jobs
        self._max_memory = None if max_memory_mb is None else max_memory_mb * MEGABYTE
        self._places = asyncio.Semaphore(self.size)
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._watcher: asyncio.Task[None] | None = None

    @property
    def busy(self) -> int:
        return len(self._busy)

    def pids(self) -> set[int]:
        """All children there are now."""
        return {child.pid for child in (*self._idle, *self._busy)}

    @contextlib.asynccontextmanager
    async def child(self) -> AsyncIterator[Child]:
        """A child for one job; waits while all are at work. Raises ChildNotStarted.

        One that is left in the middle of its job has been ended when this returns.
        """
        async with self._places:
            child = await self._take()
            self._busy.add(child)
            try:
                yield child
            finally:
                await self._give_back(child)

    async def _take(self) -> Child:
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            self._end(child, "found dead")
        started = time.monotonic()
        child = await Child.start()
        log.info("child_started", pid=child.pid, seconds=round(time.monotonic() - started, 2))
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        return child

    async def _give_back(self, child: Child) -> None:
        if not child.ready:
            # Its job may be tried again at once: the two must not meet. A second cancellation ends the
            # waiting, not the ending.
            ended = self._end(child, child.killed_because or "its job was cut off")
            self._busy.discard(child)
            await asyncio.shield(ended)
            return
        self._busy.discard(child)
        why = self._used_up(child)
        if why is None:
            self._idle.append(child)
        else:
            self._end(child, why)

    def _used_up(self, child: Child) -> str | None:
        if self._max_jobs is not None and child.jobs >= self._max_jobs:
            return "it has run its jobs"
        if self._max_memory is not None and child.memory_bytes() > self._max_memory * REPLACE_SHARE:
            return "it keeps too much memory"
        return None

    def _end(self, child: Child, why: str) -> asyncio.Task[None]:
        log.info("child_ended", pid=child.pid, jobs=child.jobs, why=why)
        task = asyncio.create_task(child.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for child in list(self._busy):
                child.notice_death()
                if self._max_memory is None or child.killed_because:
                    continue
                memory = child.memory_bytes()
                if memory > self._max_memory:
                    held, limit = round(memory / MEGABYTE), round(self._max_memory / MEGABYTE)
                    child.killed_because = f"it held {held} MB, over its limit of {limit} MB, and was killed"
                    log.warning("child_over_memory", pid=child.pid, megabytes=held)
                    child.kill()

    async def close(self) -> None:
        """End all children. Jobs that still run in them end with ProcessDied."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        for child in (*self._idle, *self._busy):
            self._end(child, "the worker stops")
        self._idle.clear()
        while self._ending:
            await asyncio.wait(self._ending)
