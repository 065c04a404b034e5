"""A service in a thread with a loop of its own, for tests that have none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, Self

from corral.bullmq.connection import close_shared_clients

#: Seconds; a busy machine takes its time.
PATIENCE = 120.0


class HasUrl(Protocol):
    @property
    def url(self) -> str: ...


class Threaded:
    """`with Threaded(make) as served: … served.url`. make: called in the thread, gives what is entered."""

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[HasUrl]]) -> None:
        self.url = ""
        self._make = make
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _serve(self) -> None:
        async with self._make() as server:
            self.url = server.url
            self._ready.set()
            await self._stop.wait()
        await close_shared_clients()
