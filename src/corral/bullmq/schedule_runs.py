"""How runs of schedules ended, and which queues have schedules. Milliseconds; raises what redis-py raises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.schedule_record import run_id

#: Characters of an error that are read.
MOST_ERROR = 500


class Run(NamedTuple):
    """A run whose job is still there. `started` or `finished` None: not yet. `error`: of one that failed."""

    job_id: str
    slot: int
    started: int | None
    finished: int | None
    error: str | None


async def ends(client: aioredis.Redis, runs: Sequence[tuple[QueueKeys, str, int]]) -> list[Run | None]:
    """The runs of (queue, schedule, slot), in order; None: its job is gone. One round trip."""
    if not runs:
        return []
    pipe = client.pipeline(transaction=False)
    for keys, schedule_id, slot in runs:
        pipe.hmget(
            keys.job(run_id(schedule_id, slot)), ["timestamp", "processedOn", "finishedOn", "failedReason"]
        )
    replies = await pipe.execute()
    return [
        None if reply[0] is None else _run(run_id(schedule_id, slot), slot, *reply[1:])
        for (_, schedule_id, slot), reply in zip(runs, replies, strict=True)
    ]


async def how_many(client: aioredis.Redis, queues: Sequence[QueueKeys]) -> list[int]:
    """Schedules of each queue, paused ones included. One round trip."""
    pipe = client.pipeline(transaction=False)
    for keys in queues:
        pipe.zcard(keys.repeat)
        pipe.hlen(keys.schedules("paused"))
    replies = iter(await pipe.execute() if queues else [])
    return [running + next(replies) for running in replies]


def _run(job_id: str, slot: int, started: bytes | None, finished: bytes | None, error: bytes | None) -> Run:
    ended = None if finished is None else int(float(finished))
    said = error.decode(errors="replace")[:MOST_ERROR] if error and ended is not None else None
    return Run(job_id, slot, None if started is None else int(float(started)), ended, said)
