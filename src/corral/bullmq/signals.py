"""Signals: what a durable wait waits for, sent from a webhook, an approval, or code."""

from __future__ import annotations

import redis.asyncio as aioredis

from corral.bullmq.keys import signal_key
from corral.bullmq.scripts import ours

#: A signal that nobody waits for yet is kept this long.
SIGNAL_TTL_MS = 7 * 24 * 3_600_000


async def send_signal(client: aioredis.Redis, prefix: str, signal: str, payload: str) -> bool:
    """Deliver a payload (JSON). One round trip. True if it woke a job."""
    return bool(await ours("signal")(client, [signal_key(prefix, signal)], payload, SIGNAL_TTL_MS))
