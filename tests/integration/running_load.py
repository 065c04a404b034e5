"""Adds without pause, a handler that keeps a list, and the question what must have run.

Redis replicates asynchronously: what it answered and had not yet replicated is lost when the master dies. So
the load is asked to stand still and wait for the replica just before, and all that was answered by then
counts, as does all that the new master answers.
"""

from __future__ import annotations

import asyncio
from typing import Any, Self

from corral import JobContext, Queue
from corral.errors import RedisUnavailable
from eventually import eventually
from redis_process import RedisProcess
from server_farm import replicated


class Load:
    def __init__(self, queue: Queue, master: RedisProcess) -> None:
        self.queue = queue
        self.master = master
        self.done: set[int] = set()
        self.sure: set[int] = set()
        self.failed_adds = 0
        self._answered: set[int] = set()
        self._number = 0
        self._first_after = 0
        self._open = asyncio.Event()
        self._open.set()
        self._adding = False
        self._task: asyncio.Task[None] | None = None

        @queue.job("count")
        async def count(job: JobContext, data: int) -> None:
            await asyncio.sleep(0.001)
            self.done.add(data)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._add())
        return self

    async def __aexit__(self, *_: Any) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _add(self) -> None:
        while True:
            await self._open.wait()
            self._number += 1
            number = self._number
            self._adding = True
            try:
                await self.queue.add("count", number)
                self._answered.add(number)
                await asyncio.sleep(0.002)
            except RedisUnavailable:
                self.failed_adds += 1
                await asyncio.sleep(0.05)
            finally:
                self._adding = False

    async def pause_until_replicated(self) -> None:
        """Returns with the load going on again; what was answered before is safe from a kill."""
        self._open.clear()
        await eventually(lambda: not self._adding)
        await eventually(lambda: replicated(self.master))
        self.sure |= self._answered
        self._open.set()

    def note_failover(self) -> None:
        """The new master is there: what is added from now on counts."""
        self._first_after = self._number + 1

    def done_since_failover(self) -> int:
        return sum(1 for number in self.done if number >= self._first_after)

    def answered(self) -> set[int]:
        return set(self._answered)

    def missing(self) -> list[int]:
        after = {number for number in self._answered if number >= self._first_after}
        return sorted((self.sure | after) - self.done)
