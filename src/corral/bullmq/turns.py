"""Turns within a sliding window, counted over all workers: how often something may be done for somebody.

Keys: `corral:<prefix>:turns-<kind>-<hash of whom>`, gone when the window has passed.
"""

from __future__ import annotations

import hashlib

import redis.asyncio as aioredis

from corral.bullmq.scripts import ours


async def take_turn(
    client: aioredis.Redis, prefix: str, kind: str, whom: str, who: str, *, turns: int, seconds: float
) -> float:
    """Take one of `turns` in `seconds` for `whom`. One round trip. Returns 0.0, or the seconds to wait.

    who: counts once, however often it asks within the window. Raises what redis-py raises.
    """
    # Hashed: a user's id is the product's own affair, and may be a mail address.
    digest = hashlib.blake2b(whom.encode(), digest_size=16).hexdigest()
    key = f"corral:{prefix}:turns-{kind}-{digest}"
    waits: int = await ours("take_turn")(client, [key], who, turns, round(seconds * 1000))
    return waits / 1000
