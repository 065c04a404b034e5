"""The wire of managed API keys: a record in JSON by id, a version that each change counts up, last uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import redis.asyncio as aioredis

from corral.bullmq.keys import api_keys_keys
from corral.bullmq.scripts import ours

_pack = msgspec.msgpack.Encoder().encode


async def version(client: aioredis.Redis, prefix: str) -> bytes | None:
    """What tells whether a key has changed. One round trip. None: there never was one."""
    found: Any = await client.get(api_keys_keys(prefix).version)
    return None if found is None else bytes(found)


async def read(client: aioredis.Redis, prefix: str) -> tuple[bytes | None, dict[str, str], dict[str, float]]:
    """The version, the records and the last uses in epoch seconds, by id. One round trip."""
    keys = api_keys_keys(prefix)
    pipe = client.pipeline(transaction=True)
    pipe.get(keys.version)
    pipe.hgetall(keys.records)
    pipe.hgetall(keys.used)
    number, records, used = await pipe.execute()
    return (
        number,
        {key_id.decode(): record.decode(errors="replace") for key_id, record in records.items()},
        {key_id.decode(): float(at) for key_id, at in used.items()},
    )


async def change(client: aioredis.Redis, prefix: str, changes: Sequence[tuple[str, str, str]]) -> bool:
    """(id, was, becomes) of each; "" is no record. One round trip. False: somebody else was faster."""
    keys = api_keys_keys(prefix)
    return bool(await ours("key_change")(client, [keys.records, keys.version, keys.used], _pack(changes)))


async def note_used(client: aioredis.Redis, prefix: str, used: Mapping[str, int]) -> None:
    """Write last uses. One round trip."""
    fields: Mapping[Any, Any] = used
    await client.hset(api_keys_keys(prefix).used, mapping=dict(fields))
