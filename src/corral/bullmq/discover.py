"""Finding the queues that a server holds, by the `meta` key that every client writes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys, queues_noted

#: Keys that one SCAN looks at: under a millisecond of Redis, which everybody else waits for.
SCAN_COUNT = 1_000


async def queue_names(
    client: aioredis.Redis, prefix: str, rest: Callable[[float], Awaitable[None]] | None = None
) -> list[str]:
    """Names of all queues under a prefix, sorted. Walks once over the server's key space, in steps.

    rest: awaited after each step but the last, with the seconds that it took.
    """
    start = f"{prefix}:".encode()
    pattern = "".join(f"\\{c}" if c in "*?[]\\" else c for c in prefix) + ":*:meta"
    names: set[str] = set()
    cursor, keys = 0, list[bytes]()
    while True:
        began = time.monotonic()
        step: Any = client.scan(cursor, match=pattern, count=SCAN_COUNT)
        cursor, keys = await step
        for key in keys:
            name = key[len(start) : -len(b":meta")]
            # `<prefix>::relay:…` is BullMQ's relay, and a job may be called meta: neither is a queue.
            if name and b":" not in name:
                names.add(name.decode(errors="replace"))
        if not cursor:
            return sorted(names)
        if rest is not None:
            await rest(time.monotonic() - began)


async def is_there(client: aioredis.Redis, keys: QueueKeys) -> bool:
    """Whether the server has anything of this queue. One round trip."""
    asked: Any = client.exists(keys.meta, keys.id, keys.events, keys.repeat)
    return bool(await asked)


async def note_queues(client: aioredis.Redis, prefix: str, names: Sequence[str]) -> None:
    """Keep what a walk found for the next process that starts. One round trip."""
    pipe = client.pipeline(transaction=True)
    pipe.delete(queues_noted(prefix))
    if names:
        pipe.sadd(queues_noted(prefix), *names)
    await pipe.execute()


async def noted_queues(client: aioredis.Redis, prefix: str) -> list[str]:
    """The queues that the last walk of any process found and that are still there. Two round trips."""
    members: Any = await client.smembers(queues_noted(prefix))
    names = sorted(name.decode(errors="replace") for name in members)
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.exists(f"{prefix}:{name}:meta")
    there = await pipe.execute() if names else []
    return [name for name, found in zip(names, there, strict=True) if found]


async def with_right_types(client: aioredis.Redis, queues: Sequence[QueueKeys]) -> list[QueueKeys]:
    """Those whose keys have the types that a queue's have. One round trip.

    Others belong to some other program, and would break whoever reads many queues in one go.
    """
    pipe = client.pipeline(transaction=False)
    for keys in queues:
        for key in _types(keys):
            pipe.type(key)
    answers = iter(await pipe.execute())
    right = []
    for keys in queues:
        wanted = _types(keys).values()
        found = list(itertools.islice(answers, len(wanted)))
        if all(kind in (b"none", want) for kind, want in zip(found, wanted, strict=True)):
            right.append(keys)
    return right


def _types(keys: QueueKeys) -> dict[str, bytes]:
    lists = (keys.wait, keys.paused, keys.active)
    zsets = (keys.delayed, keys.prioritized, keys.completed, keys.failed, keys.waiting_children, keys.repeat)
    return (
        {keys.meta: b"hash", keys.id: b"string"}
        | dict.fromkeys(lists, b"list")
        | dict.fromkeys(zsets, b"zset")
    )
