"""BullMQ 5 on a queue: how it is recognised, and its `paused` list.

It is known by the version that its Queue objects write to meta (the last one wins, so a BullMQ 6 that started
later hides it), and by jobs in `paused`, which nobody else fills. Its workers and flow producers write no
version.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import ours

#: Jobs moved in one round trip: about a millisecond of Redis.
BATCH = 1_000

#: What was seen is told once a day, and remembered for as long.
REMEMBER_SECONDS = 86_400

#: The first major version of BullMQ that leaves the jobs of a paused queue where they are.
SAFE_MAJOR = 6

PAUSED_LIST = "jobs in the paused list"


class Merged(NamedTuple):
    moved: int
    #: Of the last Node client, `bullmq:6.7.0`; "" if there was none.
    version: str


def evidence(version: str, paused_jobs: int) -> str | None:
    """What tells of a client older than BullMQ 6, or None."""
    major = version.removeprefix("bullmq:").split(".")[0]
    if version.startswith("bullmq:") and major.isdecimal() and int(major) < SAFE_MAJOR:
        return version
    return PAUSED_LIST if paused_jobs else None


async def merge_paused(client: aioredis.Redis, keys: QueueKeys) -> Merged:
    """Move what is in `paused` to `wait`. One round trip; one for each 1,000 jobs."""
    moved = 0
    while True:
        part, left, version = await ours("merge_paused")(
            client, [keys.wait, keys.paused, keys.meta, keys.active, keys.marker], BATCH
        )
        moved += part
        if not left:
            return Merged(moved, version.decode())


async def remember(client: aioredis.Redis, keys: QueueKeys, seen: str) -> bool:
    """Note what was seen. True if it is news. One round trip."""
    return bool(await client.set(keys.old_clients, seen, nx=True, ex=REMEMBER_SECONDS))


def read(meta: dict[bytes, bytes], paused_jobs: int, remembered: Any) -> str | None:
    """What is known of old clients: what is there now, else what was seen within a day."""
    now = evidence(meta.get(b"version", b"").decode(), paused_jobs)
    return now or (remembered.decode() if remembered else None)
