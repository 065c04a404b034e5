"""The wire of objectives: what the workers of each queue last said, one hash for a prefix.

Kept when the workers are gone: how late a queue is must be told most of all when nobody serves it. All
functions raise what redis-py raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import redis.asyncio as aioredis

from corral.bullmq.keys import objectives_key
from corral.errors import InvalidOptions
from corral.policy import Objective

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Objective).decode


async def note(client: aioredis.Redis, prefix: str, objectives: Mapping[str, Objective | None]) -> None:
    """What these queues declare; None: nothing, so that an earlier word is forgotten. One round trip."""
    key = objectives_key(prefix)
    pipe = client.pipeline(transaction=False)
    for queue, objective in objectives.items():
        if objective is None:
            pipe.hdel(key, queue)
        else:
            pipe.hset(key, queue, _encode(objective))
    await pipe.execute()


async def read(client: aioredis.Redis, prefix: str) -> dict[str, Objective]:
    """By queue. One round trip."""
    asked: Any = client.hgetall(objectives_key(prefix))
    found = {}
    for queue, text in (await asked).items():
        try:
            found[queue.decode(errors="replace")] = _decode(text)
        except (msgspec.DecodeError, InvalidOptions):  # of another version of Corral
            continue
    return found
