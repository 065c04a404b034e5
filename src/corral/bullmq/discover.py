"""Finding the queues that a server holds, by the `meta` key that every client writes."""

from __future__ import annotations

import redis.asyncio as aioredis

#: Keys that one SCAN looks at.
SCAN_COUNT = 5_000


async def queue_names(client: aioredis.Redis, prefix: str) -> list[str]:
    """Names of all queues under a prefix, sorted. Walks once over the server's key space, in steps."""
    start = f"{prefix}:".encode()
    pattern = "".join(f"\\{c}" if c in "*?[]\\" else c for c in prefix) + ":*:meta"
    names: set[str] = set()
    async for key in client.scan_iter(match=pattern, count=SCAN_COUNT):
        name = bytes(key)[len(start) : -len(b":meta")]
        # `<prefix>::relay:…` is BullMQ's relay, and a job may be called meta: neither is a queue.
        if name and b":" not in name:
            names.add(name.decode(errors="replace"))
    return sorted(names)
