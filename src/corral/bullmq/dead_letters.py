"""The wire of one dead letter: all that is kept of a failed job, in one round trip."""

from __future__ import annotations

from typing import Any, NamedTuple

import redis.asyncio as aioredis

from corral.bullmq.codec import JobRecord, decode_record
from corral.bullmq.keys import DeadKeys, QueueKeys, breaker_keys


class Stored(NamedTuple):
    record: JobRecord
    is_failed: bool
    checkpoint: bytes | None
    parent: str
    edited: bool
    logs: list[str]
    log_rows: int


async def read(client: aioredis.Redis, keys: QueueKeys, job_id: str, rows: int) -> Stored | None:
    """A job with the newest `rows` of its log, or None. One round trip. Raises what redis-py raises."""
    pipe = client.pipeline(transaction=False)
    pipe.type(keys.job(job_id))
    pipe.zscore(keys.failed, job_id)
    pipe.exists(DeadKeys(keys).original(job_id))
    pipe.llen(keys.logs(job_id))
    pipe.lrange(keys.logs(job_id), -rows, -1)
    pipe.hgetall(keys.job(job_id))
    kind, score, original, log_rows, logs, fields = await pipe.execute(raise_on_error=False)
    for reply in (kind, score, original):
        if isinstance(reply, Exception):
            raise reply
    if kind != b"hash" or not fields or b"timestamp" not in fields:
        return None
    return Stored(
        decode_record(job_id, fields),
        score is not None,
        fields.get(b"corral:checkpoint"),
        fields.get(b"parentKey", b"").decode(errors="replace"),
        bool(original),
        [row.decode(errors="replace") for row in logs] if rows else [],
        int(log_rows),
    )


async def breaker_is_open(client: aioredis.Redis, prefix: str, breaker: str) -> bool:
    """One round trip."""
    state: Any = await client.hget(breaker_keys(prefix, breaker).state, "state")
    return bool(state == b"open")
