"""The wire of scaling decisions: a stream of JSON texts for each prefix, of the newest MOST_DECISIONS."""

from __future__ import annotations

from typing import Any

import redis.asyncio as aioredis

from corral.bullmq.keys import scaling_key

#: Weeks of a lively service; some 500 kB.
MOST_DECISIONS = 1_000


async def keep(client: aioredis.Redis, prefix: str, text: bytes) -> None:
    """Add a decision; the oldest go. One round trip. Raises what redis-py raises."""
    await client.xadd(scaling_key(prefix), {"decision": text}, maxlen=MOST_DECISIONS, approximate=True)


async def newest(client: aioredis.Redis, prefix: str, count: int) -> list[tuple[float, bytes]]:
    """The time (epoch seconds by the server) and text of each, newest first. One round trip."""
    rows: Any = await client.xrevrange(scaling_key(prefix), count=count)
    return [(int(entry.partition(b"-")[0]) / 1000, fields.get(b"decision", b"")) for entry, fields in rows]
