"""Reading what tells that something changed, as cheaply as can be: see lua/digest.lua and digest_job.lua.

Nothing here is for people: the texts are to be compared with those of a second ago. All raise what redis-py
raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import redis.asyncio as aioredis

from corral.bullmq import breaking, registry
from corral.bullmq.keys import (
    QueueKeys,
    alert_keys,
    api_keys_keys,
    audit_key,
    breaker_keys,
    scaling_key,
)
from corral.bullmq.scripts import Call, ours, run_all
from corral.bullmq.standings import chunks


class QueueDigest(NamedTuple):
    """Of one queue. `waiting`: how many jobs could start now."""

    jobs: bytes
    waiting: int
    dead: bytes
    schedules: bytes


class SharedDigest(NamedTuple):
    """Of what all queues share. `alerts` is the leader's document, which changes with every look of its."""

    alerts: bytes
    silences: object
    acknowledged: object
    workers: object
    breakers: object
    audit: object
    scaling: object
    keys: object


async def of_queues(client: aioredis.Redis, queues: Sequence[QueueKeys]) -> list[QueueDigest]:
    """Each queue, in order. One round trip."""
    calls: list[Call] = [
        ([keys.meta for keys in part], [text for keys in part for text in (keys.base, keys.own())])
        for part in chunks(queues)
    ]
    replies = await run_all(client, ours("digest"), calls) if calls else []
    return [QueueDigest(*row) for reply in replies for row in reply]


async def of_jobs(client: aioredis.Redis, jobs: Sequence[tuple[QueueKeys, str]]) -> list[bytes]:
    """Each job, in order; empty: there is none. One round trip, none without a job."""
    if not jobs:
        return []
    found: list[bytes] = await ours("digest_job")(
        client,
        [keys.job(job_id) for keys, job_id in jobs],
        *(text for keys, job_id in jobs for text in (keys.base, job_id)),
    )
    return found


async def shared(client: aioredis.Redis, prefix: str) -> SharedDigest:
    """What all queues share. Two round trips."""
    workers, breakers, told = await asyncio.gather(
        registry.read_beats(client, prefix), _breakers(client, prefix), _told(client, prefix)
    )
    state, silences, acknowledged, *rest = told
    return SharedDigest(state or b"", silences, acknowledged, workers, breakers, *rest)


async def _told(client: aioredis.Redis, prefix: str) -> list[Any]:
    alerts = alert_keys(prefix)
    pipe = client.pipeline(transaction=False)
    pipe.get(alerts.state)
    pipe.hgetall(alerts.silences)
    pipe.hgetall(alerts.acknowledged)
    pipe.xrevrange(audit_key(prefix), count=1)
    pipe.xrevrange(scaling_key(prefix), count=1)
    pipe.get(api_keys_keys(prefix).version)
    told: list[Any] = await pipe.execute()
    return told


async def _breakers(client: aioredis.Redis, prefix: str) -> list[Any]:
    """Not by `breaking.look`: it tells the time, too, which always differs."""
    pipe = client.pipeline(transaction=False)
    for name in await breaking.known(client, prefix):
        keys = breaker_keys(prefix, name)
        pipe.hgetall(keys.state)
        pipe.zcard(keys.held)
    seen: list[Any] = await pipe.execute() if len(pipe) else []
    return seen
