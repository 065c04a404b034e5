"""Queues that Redis holds and nobody declared here, for who shows all of them.

Finding them walks the whole key space, so it is done beside the requests, once a minute at most; a request
takes what the last walk found. Only the first waits for it, and not for long.

Limit: MOST_QUEUES are kept, by name, and those that Corral's keys cannot name are left out.

Emits: discovery_failed (error).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog
from redis.exceptions import RedisError

from corral.bullmq.connection import Address, shared_client
from corral.bullmq.discover import queue_names
from corral.bullmq.failures import code
from corral.errors import InvalidOptions
from corral.queue import Queue

log = structlog.get_logger(__name__)

#: From one walk to the next.
DISCOVER_SECONDS = 60.0

#: How long the first request waits for the first walk.
FIRST_SECONDS = 0.5

#: A producer may make queues without end; each costs a dozen time series.
MOST_QUEUES = 500


class Discovery:
    """The queues of one server under one prefix. `clock`: monotonic seconds."""

    def __init__(self, address: Address, prefix: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._prefix = prefix
        self._clock = clock
        self._queues: dict[str, Queue] = {}
        self._walk: asyncio.Task[None] | None = None
        self._walked_at: float | None = None
        #: Queues that the last walk found beyond MOST_QUEUES.
        self.left_out = 0

    async def queues(self) -> list[Queue]:
        """As the last walk found them, by name. No round trip of its own. Raises nothing."""
        first = self._walked_at is None
        if (self._walk is None or self._walk.done()) and self._is_due():
            self._walked_at = self._clock()
            self._walk = asyncio.create_task(self._look())
        if first and self._walk is not None:
            await asyncio.wait([self._walk], timeout=FIRST_SECONDS)
        return list(self._queues.values())

    def _is_due(self) -> bool:
        return self._walked_at is None or self._clock() - self._walked_at >= DISCOVER_SECONDS

    async def _look(self) -> None:
        try:
            names = await queue_names(shared_client(self._address), self._prefix)
        except (RedisError, OSError) as error:
            log.warning("discovery_failed", error=code(error))
            return
        found: dict[str, Queue] = {}
        for name in names[:MOST_QUEUES]:
            if name in self._queues:
                found[name] = self._queues[name]
                continue
            with contextlib.suppress(InvalidOptions):
                found[name] = Queue(name, redis_url=self._address.url, prefix=self._prefix)
        before, self._queues = self._queues, found
        self.left_out = max(0, len(names) - MOST_QUEUES)
        for name in before.keys() - found.keys():
            await before[name].close()

    async def close(self) -> None:
        """End a walk that is under way."""
        if self._walk is not None:
            self._walk.cancel()
            await asyncio.gather(self._walk, return_exceptions=True)
        for queue in self._queues.values():
            await queue.close()
