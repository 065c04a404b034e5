"""Forgetting the data of failed jobs: what is due, in the order in which they failed.

The time up to which it was done is kept under a key of its own, so that each turn reads the new ones alone,
however many dead letters there are. Doing it twice changes nothing, so the key may get lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import ours

#: Jobs read at once. Their data may be a megabyte each.
BATCH = 25

#: What is to be left of a job's data, given its name; None: nothing is to be done.
Reduce = Callable[[str, bytes], str | None]

_pack = msgspec.msgpack.Encoder().encode


async def forget_failed(
    client: aioredis.Redis, keys: QueueKeys, reduce: Reduce, *, until_ms: int, limit: int
) -> int:
    """Forget what failed up to `until_ms`, about `limit` jobs at most. Returns how many.

    Raises what redis-py raises. Three round trips for each 25 jobs.
    """
    position = float(await client.get(keys.forgotten()) or 0)
    forgotten = looked_at = 0
    count = BATCH
    while looked_at < limit:
        rows: Any = await client.zrangebyscore(
            keys.failed, position, until_ms, start=0, num=count, withscores=True
        )
        if len(rows) == count and rows[-1][1] == position:
            count *= 2  # so many failed in one millisecond
            continue
        forgotten += await _forget(client, keys, [row[0].decode() for row in rows], reduce)
        looked_at += len(rows)
        if rows and rows[-1][1] > position:
            position = rows[-1][1]
            await client.set(keys.forgotten(), f"{position:.0f}")
        if len(rows) < count:
            break
        count = BATCH
    return forgotten


async def _forget(client: aioredis.Redis, keys: QueueKeys, ids: list[str], reduce: Reduce) -> int:
    pipe = client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hmget(keys.job(job_id), "name", "data")
    jobs = [
        (job_id, hashlib.sha1(data, usedforsecurity=False).hexdigest(), left)
        for job_id, (name, data) in zip(ids, await pipe.execute(), strict=True)
        if data is not None and (left := reduce((name or b"").decode(errors="replace"), data)) is not None
    ]
    if not jobs:
        return 0
    return int(await ours("forget")(client, [keys.failed], _pack([keys.base, jobs])))
