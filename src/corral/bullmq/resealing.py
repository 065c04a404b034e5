"""The wire of re-encrypting a queue: the payloads of its jobs, read and written back in bounded steps."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import msgspec
import redis.asyncio as aioredis

from corral.bullmq import listing
from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import ours

#: Jobs of one step. Their data may be a megabyte each.
BATCH = 50

#: All but active: what runs is left alone, and is met later in the state it ends in.
STATES = ("waiting", "delayed", "waiting-children", "failed", "completed")

_pack = msgspec.msgpack.Encoder().encode


class Payloads(NamedTuple):
    """What of a job may be encrypted, as it lies in Redis."""

    id: str
    name: str
    data: bytes | None
    result: bytes | None
    checkpoint: bytes | None


FIELDS = {"data": "data", "result": "returnvalue", "checkpoint": "corral:checkpoint"}


async def walk(client: aioredis.Redis, keys: QueueKeys) -> AsyncIterator[list[Payloads]]:
    """The jobs that do not run, in steps. Three round trips a step.

    A job that changes its state meanwhile may be met twice or not at all.
    """
    for segment in listing.segments(STATES, newest_first=False):
        place = listing.Place()
        while True:
            step = await listing.walk(client, keys, segment, place, BATCH, newest_first=False)
            if not step.ids:
                break
            place = step.places[-1]
            yield await _read(client, keys, [job_id for job_id in step.ids if not job_id.startswith("0:")])


async def _read(client: aioredis.Redis, keys: QueueKeys, ids: Sequence[str]) -> list[Payloads]:
    pipe = client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hmget(keys.job(job_id), "name", *FIELDS.values())
    rows: list[Any] = await pipe.execute() if ids else []
    return [
        Payloads(job_id, name.decode(errors="replace"), *fields)
        for job_id, (name, *fields) in zip(ids, rows, strict=True)
        if name is not None
    ]


async def write(
    client: aioredis.Redis, keys: QueueKeys, changes: Sequence[tuple[str, str, bytes, str]]
) -> int:
    """(id, field, what it held, what it is to hold). One round trip. Returns how many were written."""
    if not changes:
        return 0
    packed = [
        (job_id, field, hashlib.sha1(was, usedforsecurity=False).hexdigest(), becomes)
        for job_id, field, was, becomes in changes
    ]
    return int(await ours("reseal")(client, [keys.active], _pack([keys.base, packed])))
