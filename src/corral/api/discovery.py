"""Queues that Redis holds and nobody declared here, for who shows all of them.

Finding them walks the whole key space, so it is done beside the requests, once a minute at most, less often
where it takes long; a request takes what the last walk found. Only the first waits for it, and not for long.

Limit: MOST_QUEUES are kept, by name. Left out is what Corral cannot name (white space), or whose keys are of
other types than a queue's.

Emits: discovery_failed (error).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

import structlog
from redis.exceptions import RedisError

from corral.bullmq.connection import Address, shared_client
from corral.bullmq.discover import queue_names, with_right_types
from corral.bullmq.failures import code
from corral.bullmq.keys import QueueKeys
from corral.errors import InvalidOptions
from corral.queue import Queue

log = structlog.get_logger(__name__)

#: From one walk to the next.
DISCOVER_SECONDS = 60.0

#: At least so many times as long as it took: among ten million keys a walk takes some seconds of Redis.
RESTS = 100

#: How long the first request waits for the first walk.
FIRST_SECONDS = 0.5

#: A producer may make queues without end; each costs a dozen time series.
MOST_QUEUES = 500


class Discovery:
    """The queues of one server under one prefix. `clock`: monotonic seconds."""

    def __init__(self, address: Address, prefix: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.place = (address, prefix)
        self._clock = clock
        self._queues: dict[str, Queue] = {}
        self._walk: asyncio.Task[None] | None = None
        self._due_at = clock()
        #: Queues that the last walk found and that are not shown.
        self.left_out = 0

    async def queues(self) -> list[Queue]:
        """As the last walk found them, by name. No round trip of its own. Raises nothing."""
        if self._walk is None:
            self._walk = asyncio.create_task(self._go())
            await asyncio.wait([self._walk], timeout=FIRST_SECONDS)
        elif self._walk.done() and self._clock() >= self._due_at:
            self._walk = asyncio.create_task(self._go())
        return list(self._queues.values())

    async def _go(self) -> None:
        began = self._clock()
        try:
            await self._look()
        finally:
            ended = self._clock()
            self._due_at = ended + max(DISCOVER_SECONDS, (ended - began) * RESTS)

    async def _look(self) -> None:
        address, prefix = self.place
        client = shared_client(address)
        try:
            names = await queue_names(client, prefix)
            right = await with_right_types(client, list(_keys(prefix, names[:MOST_QUEUES])))
        except (RedisError, OSError) as error:
            log.warning("discovery_failed", error=code(error))
            return
        before, found = self._queues, {}
        for name in (keys.name for keys in right):
            found[name] = before.get(name) or Queue(name, redis_url=address.url, prefix=prefix, retry=None)
        self._queues = found
        self.left_out = len(names) - len(found)
        for name in before.keys() - found.keys():
            await before[name].close()

    async def close(self) -> None:
        """End a walk that is under way."""
        if self._walk is not None:
            self._walk.cancel()
            await asyncio.gather(self._walk, return_exceptions=True)
        for queue in self._queues.values():
            await queue.close()


def _keys(prefix: str, names: Sequence[str]) -> Iterator[QueueKeys]:
    for name in names:
        with contextlib.suppress(InvalidOptions):
            yield QueueKeys(prefix, name)
