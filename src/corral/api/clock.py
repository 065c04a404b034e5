"""A time-out for very many short calls at once, at a tenth of the price of `asyncio.timeout`.

Calls that start within one TICK share a bucket; one timer goes over the buckets while there are calls and
cancels what is left of those that are due. So a call is cut off between `seconds` and `seconds` + TICK, and
a call that is answered costs two set operations instead of a timer. For one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Any, TypeVar

_T = TypeVar("_T")

#: Seconds between two looks at the buckets.
TICK_SECONDS = 0.1


class _Bucket:
    __slots__ = ("due", "expired", "tasks")

    def __init__(self, due: float) -> None:
        self.due = due
        self.expired = False
        self.tasks: set[asyncio.Task[Any]] = set()


class Clock:
    """Bounds calls to `seconds`. Create it anywhere, use it in one event loop."""

    __slots__ = ("_buckets", "_open", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._buckets: deque[_Bucket] = deque()
        self._open: _Bucket | None = None

    async def bound(self, call: Awaitable[_T]) -> _T:
        """What `call` returns. Raises TimeoutError, and cancels it, if that takes too long."""
        bucket = self._open or self._start()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("Clock.bound runs in a task.")
        bucket.tasks.add(task)
        try:
            return await call
        except asyncio.CancelledError:
            # Cancelled by the tick alone, not by somebody else as well: then it is a time-out.
            if bucket.expired and task in bucket.tasks and task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            bucket.tasks.discard(task)

    def _start(self) -> _Bucket:
        loop = asyncio.get_running_loop()
        bucket = self._open = _Bucket(loop.time() + self._seconds)
        self._buckets.append(bucket)
        if len(self._buckets) == 1:
            loop.call_later(TICK_SECONDS, self._tick, loop)
        return bucket

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._open = None
        now = loop.time()
        while self._buckets and (not self._buckets[0].tasks or self._buckets[0].due <= now):
            bucket = self._buckets.popleft()
            bucket.expired = True
            for task in bucket.tasks:
                task.cancel()
        if self._buckets:
            loop.call_later(TICK_SECONDS, self._tick, loop)
