"""A worker's part in the dead letter desk: keep its index up to date, and carry operations on many jobs on.

Every worker wakes once in INTERVAL_SECONDS, and the first of all workers indexes what has failed since, at
most 50,000 jobs in steps of some milliseconds. Operations are carried on by whoever comes first, beside it.
Costs a worker one round trip a queue and interval, and the one whose turn it is a few more.

Emits: dead_group_reopened (warning; queue, group), dead_letters_indexed (queue, new, removed),
desk_not_tended (warning; queue, error), and what `deadletters/carrying.py` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

import structlog
from redis.exceptions import RedisError

from corral.bulk.carrying import BulkCarrying
from corral.bullmq.keys import DeadKeys
from corral.deadletters.carrying import Carrying
from corral.deadletters.indexing import Indexer, Patrol
from corral.errors import RedisUnavailable
from corral.queue import Queue

log = structlog.get_logger(__name__)

#: A group that failed again is known so soon, and an operation that lost its carrier goes on.
INTERVAL_SECONDS = 10.0

#: Share of the interval for which a turn is taken; below one, so that a worker alone finds its own turn free.
TAKEN = 0.5

_AWAY = (RedisError, OSError, TimeoutError, RedisUnavailable)


async def tend_desk(queue: Queue, *, rand: Callable[[], float] = random.random) -> None:
    """Tend the queue's desk every interval, until cancelled."""
    patrol = Patrol()
    carrying: asyncio.Task[None] | None = None
    try:
        while True:
            # Workers that started together do not come together.
            await asyncio.sleep(INTERVAL_SECONDS * (0.75 + 0.5 * rand()))
            try:
                if not await _take_turn(queue):
                    continue
                if carrying is None or carrying.done():
                    carrying = asyncio.create_task(_carry(queue))
                await _index(queue, patrol)
            except _AWAY as error:
                log.warning("desk_not_tended", queue=queue.name, error=type(error).__name__)
    finally:
        if carrying is not None:
            carrying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await carrying


async def _take_turn(queue: Queue) -> bool:
    taken_ms = max(1, round(INTERVAL_SECONDS * TAKEN * 1000))
    return bool(await queue.client().set(DeadKeys(queue.keys()).turn, "taken", nx=True, px=taken_ms))


async def _index(queue: Queue, patrol: Patrol) -> None:
    turn = await Indexer(queue, patrol).turn()
    for group in turn.reopened:
        log.warning("dead_group_reopened", queue=queue.name, group=group)
    if turn.new or turn.removed:
        log.info("dead_letters_indexed", queue=queue.name, new=turn.new, removed=turn.removed)


async def _carry(queue: Queue) -> None:
    """Never raises: an operation that a fault of ours broke waits for the next turn."""
    try:
        await asyncio.gather(Carrying(queue).carry_all(), BulkCarrying(queue).carry_all())
    except _AWAY as error:
        log.warning("desk_not_tended", queue=queue.name, error=type(error).__name__)
    except Exception:
        log.exception("desk_broke", queue=queue.name)
