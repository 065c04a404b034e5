"""One look for all who ask at the same time, so that ten browsers cost little more than one.

A change makes every open page ask at once. Who comes first gets a look of its own; who comes while one is
under way waits for the next one, with all others who do, and never gets one that began before it asked: what
somebody has just changed is in it. Nothing is kept once it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedLook(Generic[T]):
    """The looks of one kind of one application."""

    def __init__(self) -> None:
        self._now: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def look(self, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` returns, called for this caller or another who asks for it now. Raises what it does."""
        if self._now is None or self._now.done():
            self._now = _started(read())
            return await asyncio.shield(self._now)
        if self._next is None or self._next.done():
            self._next = _started(self._after(self._now, read))
        return await asyncio.shield(self._next)

    async def _after(self, now: asyncio.Task[T], read: Callable[[], Awaitable[T]]) -> T:
        await asyncio.wait([now])
        self._now, self._next = self._next, None  # who comes from here on waits for the one after
        return await read()


def _started(look: Awaitable[T]) -> asyncio.Task[T]:
    async def run() -> T:
        return await look

    task = asyncio.create_task(run())
    # All who asked may have left: then nobody else takes notice of an error.
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return task
