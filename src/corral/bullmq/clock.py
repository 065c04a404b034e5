"""The server's clock, for the calls that must bring a time along: BullMQ's scripts do not look by themselves.

A clock of this machine that is wrong by an hour must delay no job by one. The server is asked once in
FRESH_SECONDS and client (one round trip); in between its time is counted on with the monotonic clock, which
nobody sets. Off by at most the round trip's length. Emits nothing; raises what redis-py raises.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import redis.asyncio as aioredis


#: After a failover the next server's clock may differ.
FRESH_SECONDS = 60.0

#: Client to the monotonic time of its last question, and what the server's clock was ahead of that.
_known: WeakKeyDictionary[aioredis.Redis, tuple[float, float]] = WeakKeyDictionary()


async def server_ms(client: aioredis.Redis) -> int:
    """Epoch milliseconds by the server's clock. No round trip mostly, else one."""
    asked, ahead = _known.get(client, (0.0, 0.0))
    now = time.monotonic()
    if not ahead or now - asked > FRESH_SECONDS:
        answer: Any = await client.time()
        now = time.monotonic()
        ahead = answer[0] + answer[1] / 1_000_000 - now
        _known[client] = (now, ahead)
    return round((now + ahead) * 1000)


async def server_seconds(client: aioredis.Redis) -> float:
    """Epoch seconds by the server's clock."""
    return await server_ms(client) / 1000
