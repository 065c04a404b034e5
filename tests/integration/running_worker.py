"""A worker beside the test: started, stopped, and checked to have nothing left in its hands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from corral import Queue, Worker
from eventually import eventually

#: A client that reads text. Its own types say that each reply may be anything.
Redis = Any

MakeQueue = Callable[..., Queue]
StartWorker = Callable[..., "RunningWorker"]


class RunningWorker:
    """A worker that runs beside the test."""

    def __init__(self, worker: Worker, *, until_empty: bool) -> None:
        self.worker = worker
        self.task = asyncio.create_task(worker.run(until_empty=until_empty))
        self.feeds: list[Any] = []

    async def ready(self) -> RunningWorker:
        """Wait until it serves its queues."""
        await eventually(lambda: self.worker.health()["ok"] or self.task.done())
        self.feeds = list(self.worker._feeds)
        return self

    async def stop(self) -> None:
        """Stop it and see that it ended with nothing in its hands."""
        self.feeds = self.feeds or list(self.worker._feeds)
        self.worker.stop()
        async with asyncio.timeout(20):
            await self.task
        for feed in self.feeds:
            assert feed.running == 0
            assert feed.locks.held == {}
            assert feed._slots.running() == []
            assert all(slot.task.done() for slot in feed._slots.all)


async def drain(*queues: Queue, **options: Any) -> None:
    """Run the queues until they are empty."""
    async with asyncio.timeout(30):
        await Worker(*queues, **options).run(until_empty=True)
