"""The depth history where nobody evaluates alerts: `async with keeping_depths(settings):` of the dashboard.

A dashboard may be all of Corral that runs, beside workers of BullMQ. It does not evaluate alerts, whose
channels may be set elsewhere; so once a minute it asks whether somebody does, who then writes the depths, and
only if not it looks at the queues itself. Emits: depth_not_watched (warning; error), when it begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import structlog
from redis.exceptions import RedisError

from corral.bullmq import alerting
from corral.bullmq.connection import Address, shared_client
from corral.bullmq.failures import code
from corral.errors import CorralError
from corral.observe.alerts.watched import Watched
from corral.observe.depth import DepthRecorder
from corral.observe.rates import with_rates
from corral.scaling import fallback_objective
from corral.settings import Settings

log = structlog.get_logger(__name__)

#: Seconds into the minute, so that one who evaluates alerts has had two looks before.
_INTO_MINUTE = 35.0


class DepthWatch:
    """`await DepthWatch(settings).run()` until it is cancelled."""

    def __init__(self, settings: Settings) -> None:
        self._address = Address.resolve(settings.redis_url, settings)
        self._prefix = settings.prefix
        self._read = Watched(settings, minutes=0)  # beside answers, which should not feel it
        self._recorder = DepthRecorder(
            lambda: shared_client(self._address), settings.prefix, fallback_objective(settings)
        )

    async def run(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(60 - (time.time() - _INTO_MINUTE) % 60)
            try:
                await self.turn()
                failing = False
            except (RedisError, OSError, TimeoutError, CorralError) as error:
                if not failing:
                    log.warning("depth_not_watched", error=code(error))
                failing = True

    async def turn(self) -> bool:
        """Note this minute if it is ours to do. One round trip, or some more. Raises what redis-py raises."""
        client = shared_client(self._address)
        if (await alerting.read(client, self._prefix)).leader:
            return False
        await self._recorder.look(await with_rates(client, self._prefix, await self._read()))
        return True


@contextlib.asynccontextmanager
async def keeping_depths(settings: Settings) -> AsyncIterator[None]:
    """Watch while the block runs."""
    task = asyncio.create_task(DepthWatch(settings).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
