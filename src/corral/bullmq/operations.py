"""The wire that all operations on many jobs share: written down, read, stopped. `own`: what their keys begin
with, `QueueKeys.dead()` for dead letters, `QueueKeys.bulk()` for lists of jobs.

Who carries one on holds a lease and says so with each step: see lua/operation_claim.lua.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import ours

#: A carrier that says nothing for so long has lost the operation to the next one.
LEASE_MS = 5_000

#: Operations that are remembered of a queue.
MOST_KEPT = 200

_pack = msgspec.msgpack.Encoder().encode


def operation_key(own: str, operation: str) -> str:
    return f"{own}op:{operation}"


async def begin(
    client: aioredis.Redis,
    keys: QueueKeys,
    own: str,
    operation: str,
    fields: Mapping[str, str],
    *,
    ids: Sequence[str] = (),
    undone: str = "",
) -> int:
    """Write a new operation down. Returns how many jobs it is about, as far as is known. One round trip."""
    flat = [part for pair in fields.items() for part in pair]
    arguments = _pack([own, operation, flat, list(ids), undone, MOST_KEPT])
    return int(await ours("operation_begin")(client, [keys.failed], arguments))


async def read(client: aioredis.Redis, own: str, operation: str) -> dict[str, str]:
    """What is known of an operation; empty: nothing. One round trip."""
    fields: Any = await client.hgetall(operation_key(own, operation))
    return _texts(fields)


async def newest_of(
    client: aioredis.Redis, owns: Sequence[str], count: int
) -> list[list[tuple[str, dict[str, str]]]]:
    """The operations that began last, with their fields, `count` of each `own`. Two round trips."""
    pipe = client.pipeline(transaction=False)
    for own in owns:
        pipe.zrange(own + "ops", 0, count - 1, desc=True)
    names = [[operation.decode() for operation in ids] for ids in (await pipe.execute() if owns else [])]
    pipe = client.pipeline(transaction=False)
    for own, operations in zip(owns, names, strict=True):
        for name in operations:
            pipe.hgetall(operation_key(own, name))
    found = iter(await pipe.execute() if any(names) else [])
    return [
        [(name, _texts(fields)) for name in operations if (fields := next(found))] for operations in names
    ]


async def live(client: aioredis.Redis, own: str) -> list[str]:
    """Operations that have not ended. One round trip."""
    members: Any = await client.smembers(own + "ops:live")
    return sorted(member.decode() for member in members)


async def stop(client: aioredis.Redis, own: str, operation: str, *, by: str = "") -> str:
    """by: who wants it. Returns the state that it has then: see operation_stop.lua. One round trip."""
    state: bytes = await ours("operation_stop")(client, [], _pack([own, operation, by]))
    return state.decode()


def _texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
