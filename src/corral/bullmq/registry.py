"""The wire of the workers registry: a JSON text for each worker process that lives, and a set of their names.

Keys: `corral:<prefix>::worker:<name>` goes by itself when its worker writes it no more; the set
`corral:<prefix>::workers` is healed by who reads it. All raise what redis-py raises.
"""

from __future__ import annotations

from typing import Any

import redis.asyncio as aioredis

from corral.bullmq.keys import worker_key, workers_known

#: Texts read with one command.
PAGE = 1_000


async def write_beat(client: aioredis.Redis, prefix: str, name: str, text: bytes, *, seconds: float) -> None:
    """What a worker says of itself; gone after `seconds` without another word. One round trip."""
    pipe = client.pipeline(transaction=False)
    pipe.set(worker_key(prefix, name), text, px=round(seconds * 1000))
    pipe.sadd(workers_known(prefix), name)
    await pipe.execute()


async def remove_worker(client: aioredis.Redis, prefix: str, name: str) -> None:
    """One round trip."""
    pipe = client.pipeline(transaction=False)
    pipe.delete(worker_key(prefix, name))
    pipe.srem(workers_known(prefix), name)
    await pipe.execute()


async def read_beats(client: aioredis.Redis, prefix: str) -> list[bytes]:
    """The last words of all workers that live. Two round trips; three if some have gone.

    One that is taken for gone while it writes is back with its next beat.
    """
    members: Any = await client.smembers(workers_known(prefix))
    names = sorted(members)
    texts: list[Any] = []
    for start in range(0, len(names), PAGE):
        page = [worker_key(prefix, name.decode()) for name in names[start : start + PAGE]]
        texts += await client.mget(page)
    gone = [name for name, text in zip(names, texts, strict=True) if text is None]
    if gone:
        await client.srem(workers_known(prefix), *gone)
    return [text for text in texts if text is not None]
