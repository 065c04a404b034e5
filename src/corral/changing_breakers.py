"""One change of a breaker: decided of what Redis has, written only over that, said once in the log.

Emits: breaker_opened (error; breaker, cause, reason, job), breaker_closed (info; breaker, held, rate).
"""

from __future__ import annotations

from collections.abc import Callable

import redis.asyncio as aioredis
import structlog

from corral.breaker import Breaker
from corral.bullmq import breaking
from corral.bullmq.breaking import Seen
from corral.errors import RedisUnavailable

log = structlog.get_logger(__name__)

#: Others change a breaker at the same time at most so often; beyond it something is wrong.
TRIES = 20

#: What a breaker is to become; None: it stays as it is.
Decide = Callable[[Seen], Breaker | None]


async def change(client: aioredis.Redis, prefix: str, name: str, decide: Decide) -> Seen:
    """Change a breaker as `decide` says. Returns it as it is then. Two round trips; one if nothing changes.

    Raises what redis-py raises, and RedisUnavailable if others change it all the time.
    """
    for _ in range(TRIES):
        seen = (await breaking.look(client, prefix, [name]))[0]
        after = decide(seen)
        if after is None:
            return seen
        if (await breaking.change(client, prefix, seen.breaker, after, 0)).done:
            _say(seen.breaker, after, seen.held)
            return Seen(after, seen.held, seen.now)
    raise RedisUnavailable(f"Others change the breaker {name!r} all the time. Try again.")


def _say(before: Breaker, after: Breaker, held: int) -> None:
    if after.is_open and not before.is_open:
        log.error("breaker_opened", breaker=after.name, cause=after.cause, reason=after.reason, job=after.job)
    elif before.is_open and not after.is_open:
        log.info("breaker_closed", breaker=after.name, held=held, rate=after.rate)
