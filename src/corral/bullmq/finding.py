"""Finding a job among all queues by what somebody has at hand: its id, or an id that stands for it.

Ids are looked up, never searched for: three round trips whatever the queues hold. A queue that holds other
things under such a name has no such job. All raise what redis-py raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import redis.asyncio as aioredis
from redis.exceptions import NoScriptError, ResponseError

from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import official

By = Literal["id", "dedup", "idempotency"]

#: Jobs that are told of one search: "7" is an id in every queue. Their states cost a walk over a list each.
MOST = 20


@dataclass(frozen=True, slots=True)
class Place:
    """A job that was found. by: which kind of id it was found by. added: epoch seconds."""

    keys: QueueKeys
    job_id: str
    by: By
    name: str
    added: float
    state: str


@dataclass(frozen=True, slots=True)
class _Hit:
    keys: QueueKeys
    job_id: str
    by: By


async def find_everywhere(client: aioredis.Redis, queues: Sequence[QueueKeys], text: str) -> list[Place]:
    """Jobs of this id, deduplication id or idempotency key, newest first, at most MOST.

    Three round trips: the ids, names and times, states. Looks at no job's data.
    """
    hits = await _hits(client, queues, text)
    heads = await _heads(client, hits)
    there = [(head, hit) for hit, head in zip(hits, heads, strict=True) if head is not None]
    chosen = sorted(there, key=lambda one: -one[0][1])[:MOST]
    states = await _states(client, [hit for _, hit in chosen])
    return [
        Place(hit.keys, hit.job_id, hit.by, name, added, state)
        for ((name, added), hit), state in zip(chosen, states, strict=True)
        if state != "unknown"
    ]


async def _hits(client: aioredis.Redis, queues: Sequence[QueueKeys], text: str) -> list[_Hit]:
    """Where the text names a job, by which kind of id; once a job."""
    pipe = client.pipeline(transaction=False)
    for keys in queues:
        pipe.exists(keys.job(text))
        pipe.get(keys.dedup(text))
        pipe.get(keys.once(text))
    replies = await _replies(pipe)
    found: dict[tuple[str, str], _Hit] = {}
    for keys, own, dedup, once in zip(queues, replies[::3], replies[1::3], replies[2::3], strict=True):
        named: tuple[tuple[bytes | None, By], ...] = (
            (text.encode() if own else None, "id"),
            (dedup, "dedup"),
            (once, "idempotency"),
        )
        for raw, by in named:
            if raw is not None:
                job_id = raw.decode(errors="replace")
                found.setdefault((keys.base, job_id), _Hit(keys, job_id, by))
    return list(found.values())


async def _heads(client: aioredis.Redis, hits: Sequence[_Hit]) -> list[tuple[str, float] | None]:
    """Name of each job and when it was added; None for what is no job."""
    pipe = client.pipeline(transaction=False)
    for hit in hits:
        pipe.hmget(hit.keys.job(hit.job_id), ["name", "timestamp"])
    heads: list[tuple[str, float] | None] = []
    for fields in await _replies(pipe):
        name, added = fields or (None, None)
        at = int(added) / 1000 if added is not None and added.isdigit() else None
        heads.append(None if at is None else ((name or b"").decode(errors="replace"), at))
    return heads


async def _states(client: aioredis.Redis, hits: Sequence[_Hit]) -> list[str]:
    script = official("getStateV2")
    while True:
        pipe = client.pipeline(transaction=False)
        for keys, job_id in ((hit.keys, hit.job_id) for hit in hits):
            state_keys = [
                keys.completed, keys.failed, keys.delayed, keys.active, keys.wait, keys.paused,
                keys.waiting_children, keys.prioritized,
            ]  # fmt: skip
            pipe.evalsha(script.sha, len(state_keys), *state_keys, job_id)
            pipe.zscore(keys.waiting_children, job_id)
        replies = await pipe.execute(raise_on_error=False)
        if not any(isinstance(reply, NoScriptError) for reply in replies):
            break
        await client.script_load(script.source)
    states = []
    for state, parked in zip(replies[::2], replies[1::2], strict=True):
        known = state.decode() if isinstance(state, bytes) else "unknown"
        in_group = known == "waiting-children" and isinstance(parked, float) and parked < 0
        states.append("waiting" if in_group else known)
    return states


async def _replies(pipe: Any) -> list[Any]:
    """What was answered; None where a key is of another type than a queue's."""
    replies = await pipe.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, Exception) and not (
            isinstance(reply, ResponseError) and "WRONGTYPE" in str(reply)
        ):
            raise reply
    return [None if isinstance(reply, Exception) else reply for reply in replies]
