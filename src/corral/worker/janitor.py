"""The janitor: finished jobs go when their retention has passed, also where no job finishes any more.

BullMQ looks at the retention when another job of the queue finishes, and then holds Redis for as long as it
takes. Here every worker wakes once in INTERVAL_SECONDS and the first of all workers does it, in steps of 250
jobs with a rest for Redis after each, at most MOST_AT_ONCE of each outcome; the next time goes on.
The queue's own retention counts; what single jobs brought along was applied when they finished.

In the same turn failed jobs forget what their queue does not want kept any longer (`policy.Forget`).

Costs a worker one round trip a queue and interval; none if the queue keeps everything.
Emits: retention_applied (queue, completed, failed), data_forgotten (queue, failed), retention_failed (queue,
error).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import structlog

from corral.bullmq.clock import server_ms
from corral.bullmq.forgetting import Reduce, forget_failed
from corral.errors import RedisUnavailable
from corral.forgetting import is_reduced, reduced
from corral.policy import Forget, Keep
from corral.queue import Queue
from corral.sealing import Sealing, is_sealed

log = structlog.get_logger(__name__)

#: An age bound is kept to about a minute, which is nothing to bounds of hours and days.
INTERVAL_SECONDS = 60.0

#: A backlog of a million is gone within the hour, and no turn takes longer than the interval.
MOST_AT_ONCE = 50_000

#: Share of the interval for which a turn is taken; below one, so that a worker alone finds its own turn free.
TAKEN = 0.5


async def keep_house(
    queue: Queue,
    *,
    forget: Forget | None = None,
    interval_seconds: float | None = None,
    rand: Callable[[], float] = random.random,
) -> None:
    """Apply the queue's retention every interval, until cancelled. Returns at once if it keeps everything."""
    keeps_jobs = queue.retention.completed == queue.retention.failed == Keep()
    if keeps_jobs and (forget is None or forget.failed_after is None):
        return
    interval = INTERVAL_SECONDS if interval_seconds is None else interval_seconds
    while True:
        # Workers that started together do not come together.
        await asyncio.sleep(interval * (0.75 + 0.5 * rand()))
        try:
            if await _take_turn(queue, interval):
                await _clean_up(queue)
                if forget is not None:
                    await _forget(queue, forget)
        except RedisUnavailable as error:
            cause = type(error.__cause__ or error).__name__
            log.warning("retention_failed", queue=queue.name, error=cause)


async def _take_turn(queue: Queue, interval: float) -> bool:
    with queue.redis_errors():
        taken_ms = max(1, round(interval * TAKEN * 1000))
        return bool(await queue.client().set(queue.keys().janitor(), "taken", nx=True, px=taken_ms))


async def _clean_up(queue: Queue) -> None:
    removed = await queue.admin.apply_retention(limit=MOST_AT_ONCE)
    if any(removed.values()):
        log.info("retention_applied", queue=queue.name, **removed)


async def _forget(queue: Queue, forget: Forget) -> None:
    if forget.failed_after is None:
        return
    with queue.redis_errors():
        client = queue.client()
        until_ms = await server_ms(client) - round(forget.failed_after * 1000)
        forgotten = await forget_failed(
            client, queue.keys(), reducer(queue.sealing, forget), until_ms=until_ms, limit=MOST_AT_ONCE
        )
    if forgotten:
        log.info("data_forgotten", queue=queue.name, failed=forgotten)


def reducer(sealing: Sealing, forget: Forget) -> Reduce:
    """What is left of data, sealed where the queue seals. What cannot be opened is forgotten whole."""

    def reduce(name: str, data: bytes) -> str | None:
        plain = sealing.show("data", name, data)
        if is_reduced(plain):
            return None
        left = reduced(None if is_sealed(plain) else plain, forget.keep)
        return sealing.seal("data", name, left.encode()) if sealing.active else left

    return reduce
