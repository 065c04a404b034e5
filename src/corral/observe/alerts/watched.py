"""How everything stands, read for the evaluator: all queues of REDIS_URL and CORRAL_PREFIX.

Queues are found by a walk over the key space, which the leader makes every FIND_SECONDS; the queues that
workers say they serve are known at once. A Redis user without the right to SCAN sees only those.

Emits: alert_queues_not_found (warning; error), at each walk that is refused.
"""

from __future__ import annotations

import contextlib
import time

import redis.asyncio as aioredis
import structlog
from redis.exceptions import RedisError

from corral import hooks
from corral.bullmq.connection import Address, shared_client
from corral.bullmq.discover import queue_names
from corral.bullmq.failures import code, is_refusal
from corral.errors import InvalidOptions
from corral.observe.stand import RECENT_MINUTES, read_standing, read_workers
from corral.observe.standing import Standing
from corral.queue import Queue
from corral.settings import Settings

log = structlog.get_logger(__name__)

#: Seconds between walks over the key space.
FIND_SECONDS = 300.0


class Watched:
    """`await watched()` reads. Raises what `read_standing` does. minutes: as there."""

    def __init__(self, settings: Settings, *, minutes: int = RECENT_MINUTES) -> None:
        self._settings = settings
        self._minutes = minutes
        self._client_address = Address.resolve(settings.redis_url, settings)
        self._queues: dict[str, Queue] = {}
        self._find_at = 0.0

    async def __call__(self) -> Standing:
        """Some round trips; see `read_standing`."""
        client, prefix = shared_client(self._client_address), self._settings.prefix
        served = {name for worker in await read_workers(client, prefix) for name in worker.queues}
        if time.monotonic() >= self._find_at:
            served |= await _found(client, prefix)
            self._find_at = time.monotonic() + FIND_SECONDS
            self._queues = {name: queue for name, queue in self._queues.items() if name in served}
        for name in served - self._queues.keys():
            with contextlib.suppress(InvalidOptions):  # another program's key that looks like a queue's
                self._queues[name] = self._queue(name)
        # A server without a queue yet has breakers, memory and a clock, too: any queue leads to them.
        queues = list(self._queues.values()) or [self._queue(hooks.QUEUE)]
        return await read_standing(queues, minutes=self._minutes)

    def _queue(self, name: str) -> Queue:
        return Queue(name, redis_url=self._settings.redis_url, prefix=self._settings.prefix)


async def _found(client: aioredis.Redis, prefix: str) -> set[str]:
    try:
        return set(await queue_names(client, prefix))
    except RedisError as error:
        if not is_refusal(error):
            raise
        log.warning("alert_queues_not_found", error=code(error))
        return set()
