"""Reading a queue: jobs with their state, counts, logs, events. No call changes anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from corral.bullmq import redis_errors
from corral.bullmq.codec import JobRecord, decode_record
from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import official

if TYPE_CHECKING:
    import redis.asyncio as aioredis

#: In the order operators read them.
STATES = ("waiting", "active", "delayed", "prioritized", "completed", "failed", "waiting-children")


async def find(
    client: aioredis.Redis, queues: Sequence[QueueKeys], job_id: str
) -> list[tuple[JobRecord, str] | None]:
    """The job and its state in each of the queues. One round trip for all of them.

    What is no job of a queue is None: a name of one of its other keys ("wait", "meta", "7:logs"), or a hash
    that no state knows. Raises what redis-py raises.
    """
    script = official("getStateV2")
    while True:
        pipe = client.pipeline(transaction=False)
        for keys in queues:
            state_keys = [
                keys.completed, keys.failed, keys.delayed, keys.active, keys.wait, keys.paused,
                keys.waiting_children, keys.prioritized,
            ]  # fmt: skip
            # The state first: a job that ends in between is not taken for one that ended without a result.
            pipe.evalsha(script.sha, len(state_keys), *state_keys, job_id)
            pipe.hgetall(keys.job(job_id))
            pipe.zscore(keys.waiting_children, job_id)
        replies = await pipe.execute(raise_on_error=False)
        if not any(isinstance(reply, redis_errors.NoScriptError) for reply in replies):
            break
        await client.script_load(script.source)
    return [
        _job_of(job_id, fields, state, parked)
        for state, fields, parked in zip(replies[::3], replies[1::3], replies[2::3], strict=True)
    ]


def _job_of(job_id: str, fields: Any, state: Any, parked: Any) -> tuple[JobRecord, str] | None:
    for reply in (fields, state, parked):
        if isinstance(reply, Exception) and "WRONGTYPE" not in str(reply):
            raise reply
    if not isinstance(fields, dict) or b"timestamp" not in fields or state == b"unknown":
        return None
    if state == b"waiting-children" and isinstance(parked, float) and parked < 0:
        state = b"waiting"  # in its group: see lua/groups.lua
    return decode_record(job_id, fields), state.decode()


async def counts(client: aioredis.Redis, queues: Sequence[QueueKeys]) -> list[dict[str, int]]:
    """Jobs by state for each queue, in one round trip. A v5 client's `paused` list counts as waiting."""
    pipe = client.pipeline(transaction=False)
    for keys in queues:
        pipe.llen(keys.wait)
        pipe.llen(keys.paused)
        pipe.llen(keys.active)
        for key in (keys.delayed, keys.prioritized, keys.completed, keys.failed, keys.waiting_children):
            pipe.zcard(key)
        pipe.zcount(keys.waiting_children, "-inf", "(0")  # jobs that wait in a group
    replies = await pipe.execute()
    return [by_state(replies[start : start + 9]) for start in range(0, len(replies), 9)]


def by_state(lengths: Sequence[int]) -> dict[str, int]:
    """Jobs by state, from what `counts` asks for."""
    waiting, paused, *rest, parents, parked = lengths
    return dict(zip(STATES, [waiting + paused + parked, *rest, parents - parked], strict=True))


async def logs(
    client: aioredis.Redis, keys: QueueKeys, job_id: str, start: int = 0, end: int = -1
) -> list[str]:
    """Log rows of a job, oldest first. One round trip."""
    rows: Any = await client.lrange(keys.logs(job_id), start, end)
    return [row.decode(errors="replace") for row in rows]


async def version(client: aioredis.Redis, keys: QueueKeys) -> str | None:
    """What the last Node client wrote as the layout's version, `bullmq:6.7.0`. One round trip."""
    value: Any = await client.hget(keys.meta, "version")
    return value.decode() if value else None


async def read_events(
    client: aioredis.Redis, keys: QueueKeys, after: str, block_ms: int
) -> list[tuple[str, dict[str, str]]]:
    """Events after the given stream id, waiting up to `block_ms` for one. One round trip."""
    reply: Any = await client.xread({keys.events: after}, count=1_000, block=block_ms)
    if not reply:
        return []
    return [
        (event_id.decode(), {name.decode(): value.decode(errors="replace") for name, value in fields.items()})
        for event_id, fields in reply[0][1]
    ]


async def numbers_given(client: aioredis.Redis, queues: Sequence[QueueKeys]) -> list[int]:
    """The last number that each queue gave to a job: how many were ever added. One round trip.

    Every client counts every add, those with an id of their own and refused duplicates included.
    """
    pipe = client.pipeline(transaction=False)
    for keys in queues:
        pipe.get(keys.id)
    numbers: list[bytes | None] = await pipe.execute()
    return [int(number) if number and number.isdigit() else 0 for number in numbers]
