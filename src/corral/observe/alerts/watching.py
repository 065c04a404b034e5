"""Alerts in a running process: `async with watching(Settings.load()):`.

The HTTP service, `corral up`, the supervisor of `corral worker` and `corral alerts run` have it. Settings
that are wrong are said at once, before anything starts; what goes wrong later never reaches the process
around it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from corral.bullmq.connection import Address, shared_client
from corral.observe.alerts.channels.chosen import chosen_channels
from corral.observe.alerts.evaluator import Evaluator
from corral.observe.alerts.rulebook import load_rules
from corral.observe.alerts.watched import Watched
from corral.scaling import fallback_objective
from corral.settings import Settings


def evaluator_of(settings: Settings, *, expects_redis: bool = True) -> Evaluator:
    """The evaluator that the settings describe. Raises ConfigurationError.

    expects_redis: False where the queues may have an address of their own, so that a REDIS_URL which leads
    nowhere is no alert.
    """
    address = Address.resolve(settings.redis_url, settings)
    return Evaluator(
        lambda: shared_client(address),
        settings.prefix,
        Watched(settings),
        chosen_channels(settings),
        load_rules(settings.alert_rules),
        seconds=settings.alert_seconds,
        expects_redis=expects_redis,
        objective=fallback_objective(settings),
    )


@contextlib.asynccontextmanager
async def watching(settings: Settings, *, expects_redis: bool = True) -> AsyncIterator[None]:
    """Evaluate while the block runs. Raises ConfigurationError before it. Leaving takes some seconds at most.

    expects_redis: as for `evaluator_of`.
    """
    task = asyncio.create_task(evaluator_of(settings, expects_redis=expects_redis).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
