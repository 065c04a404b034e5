"""Jobs that no state of their queue knows: left behind by a crash of another client, or by mixing versions.

BullMQ's own removal looks each candidate up in every list, which takes a queue of a million waiting jobs
hours of Redis, and takes whatever has an unknown name. Here a job is an orphan only if it is a job hash, is
in no state, is older than the caller's bound, and has no field of Corral's that says it is kept elsewhere.

Memory: the ids of the lists (waiting, active) are read once, about 60 bytes each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import official

#: Keys that one SCAN looks at.
SCAN_COUNT = 1_000

#: Candidates in one call of the script that looks once more and removes: it walks the lists for each.
REMOVE_AT_ONCE = 20

#: What follows a job's key in keys of its own.
_PARTS = ("logs", "dependencies", "processed", "failed", "unsuccessful", "lock")

#: Kept by what holds jobs outside BullMQ's states, such as groups and keyed locks.
HELD_ELSEWHERE = ("corral:group", "corral:key", "corral:lock")

_SETS = ("completed", "failed", "delayed", "prioritized", "waiting-children")
_LISTS = ("active", "wait", "paused")


async def find(client: aioredis.Redis, keys: QueueKeys, before_ms: int) -> AsyncIterator[list[str]]:
    """Ids of orphans added before that time, a part at a time. Reads the server's whole key space once."""
    listed: set[bytes] = set()
    for state in _LISTS:
        start = 0
        while page := await _range(client, keys.base + state, start):
            listed.update(page)
            start += len(page)
    pattern = "".join(f"\\{c}" if c in "*?[]\\" else c for c in keys.base) + "*"
    base = keys.base.encode()
    names: list[bytes] = []
    async for key in client.scan_iter(match=pattern, count=SCAN_COUNT, _type="hash"):
        name = bytes(key)[len(base) :]
        if name not in listed:
            names.append(name)
        if len(names) == SCAN_COUNT:
            yield await _orphans(client, keys, names, before_ms)
            names = []
    if names:
        yield await _orphans(client, keys, names, before_ms)


async def _range(client: aioredis.Redis, key: str, start: int) -> list[bytes]:
    page: Any = await client.lrange(key, start, start + SCAN_COUNT - 1)
    return list(page)


async def _orphans(client: aioredis.Redis, keys: QueueKeys, names: list[bytes], before_ms: int) -> list[str]:
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.hmget(keys.base.encode() + name, "name", "data", "timestamp", *HELD_ELSEWHERE)
        for state in _SETS:
            pipe.zscore(keys.base + state, name)
    replies = await pipe.execute()
    result = []
    width = 1 + len(_SETS)
    for number, name in enumerate(names):
        (kind, data, stamp, *held), *scores = replies[number * width : (number + 1) * width]
        is_job = kind is not None and data is not None and stamp is not None
        if is_job and not any(held) and all(s is None for s in scores) and float(stamp) < before_ms:
            result.append(name.decode())
    return result


async def remove(client: aioredis.Redis, keys: QueueKeys, ids: list[str]) -> int:
    """Remove those of them that are in no state at that moment. Returns how many."""
    script = official("removeOrphanedJobs")
    states = [*_SETS, *_LISTS]
    removed = 0
    for start in range(0, len(ids), REMOVE_AT_ONCE):
        part = ids[start : start + REMOVE_AT_ONCE]
        removed += int(
            await script(client, [keys.base], len(states), *states, len(_PARTS), *_PARTS, *part) or 0
        )
    return removed
