"""Orders to a running worker from `corral workers quiet` and `stop`, as `control` brings them.

Emits: worker_ordered (worker, order).
"""

from __future__ import annotations

from collections.abc import Callable

import redis.asyncio as aioredis
import structlog

from corral.bullmq import ordering

log = structlog.get_logger(__name__)


class Orders:
    """Those for one worker on one server and prefix.

    name, started_at: as its registry entry says. A worker stops once for an order, however often it looks.
    """

    def __init__(
        self,
        client: aioredis.Redis,
        prefix: str,
        name: str,
        started_at: Callable[[], float],
        obey: Callable[[ordering.Wish], None],
    ) -> None:
        self.prefix = prefix
        self.name = name
        self._client = client
        self._started_at = started_at
        self._obey = obey
        self._obeyed: set[ordering.Order] = set()

    async def look(self) -> None:
        """Do what the worker was told to. One round trip."""
        order = await ordering.find(self._client, self.prefix, self.name)
        if order is None or order in self._obeyed or order.started_at != self._started_at():
            return
        self._obeyed.add(order)
        log.info("worker_ordered", worker=self.name, order=order.do)
        self._obey(order.do)
