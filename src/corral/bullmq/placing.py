"""Where a job stands among the others, and what Corral and BullMQ note of it beside its record.

No call changes anything. A place in a waiting list is looked for among DEEPEST jobs, so that a list of
millions holds nobody up. All raise what redis-py raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import redis.asyncio as aioredis

from corral.bullmq import attempts
from corral.bullmq.breaking import HELD_FIELD
from corral.bullmq.codec import whole
from corral.bullmq.families import queue_counts
from corral.bullmq.grouping import GROUP_FIELD
from corral.bullmq.keys import GroupKeys, QueueKeys

#: Jobs of a waiting list that a place is looked for among: about a millisecond of Redis.
DEEPEST = 100_000

#: A delayed job's score is its time in milliseconds, so many fold; see BullMQ's getDelayedScore.
DELAY_FOLD = 4096

#: A prioritized job's score is its priority, so many fold, and a counter.
PRIORITY_FOLD = 2**32

_NOTES = (
    b"parentKey", b"corral:checkpoint", b"corral:wait", HELD_FIELD.encode(), b"corral:unknown",
    GROUP_FIELD.encode(), b"rjk", b"deid", attempts.FIELD.encode(), b"corral:cancel",
    b"corral:checkpointed",
)  # fmt: skip


class Notes(NamedTuple):
    """Fields of a job that are not in its record, as they are stored."""

    parent: bytes | None
    checkpoint: bytes | None
    wait: bytes | None
    held: bytes | None
    unknown_since: bytes | None
    group: bytes | None
    schedule: bytes | None
    dedup: bytes | None
    runs: bytes | None
    cancel: bytes | None
    checkpointed: bytes | None


class Place(NamedTuple):
    """A job's surroundings. `ahead` None: not in a line, or deeper than DEEPEST."""

    now: float
    paused: bool
    concurrency: int | None
    rate_most: int
    rate_used: int
    rate_left: float
    active: int
    #: When a delayed job is due, epoch seconds.
    due: float | None
    ahead: int | None
    ahead_alike: int
    children: tuple[int, int, int, int]
    log_rows: int
    #: Token of the lock, and seconds until it would run out. A run of less than some seconds has none yet.
    lock: str | None
    lock_left: float


async def notes(client: aioredis.Redis, keys: QueueKeys, job_id: str) -> Notes:
    """One round trip."""
    return Notes(*await client.hmget(keys.job(job_id), *_NOTES))  # type: ignore[arg-type]  # redis-py's


async def place(client: aioredis.Redis, keys: QueueKeys, job_id: str, priority: int) -> Place:
    """Two round trips for a prioritized job, else one."""
    pipe = client.pipeline(transaction=False)
    pipe.time()
    pipe.hmget(keys.meta, "paused", "concurrency", "max")
    pipe.get(keys.limiter)
    pipe.pttl(keys.limiter)
    pipe.llen(keys.active)
    pipe.zscore(keys.delayed, job_id)
    pipe.llen(keys.wait)
    pipe.lpos(keys.wait, job_id, rank=-1, maxlen=DEEPEST)
    pipe.zrank(keys.prioritized, job_id)
    pipe.zscore(keys.prioritized, job_id)
    pipe.llen(keys.logs(job_id))
    pipe.get(f"{keys.job(job_id)}:lock")
    pipe.pttl(f"{keys.job(job_id)}:lock")
    queue_counts(pipe, keys.children(job_id))
    replies: list[Any] = await pipe.execute()
    (
        (seconds, micros),
        (paused, concurrency, most),
        used,
        left,
        active,
        due,
        waiting,
        at,
        rank,
        score,
        rows,
        lock,
        lock_left,
    ) = replies[:13]
    ahead, alike = None, 0
    if at is not None:  # the list runs from its tail
        ahead = alike = waiting - 1 - at
    elif rank is not None:
        # Jobs without a priority run before all that have one.
        ahead = waiting + rank
        alike = int(await client.zcount(keys.prioritized, priority * PRIORITY_FOLD, f"({score}"))
    return Place(
        now=seconds + micros / 1_000_000,
        paused=paused is not None,
        concurrency=whole(concurrency) or None,
        rate_most=whole(most),
        rate_used=whole(used),
        rate_left=max(0, left) / 1000,
        active=active,
        due=None if due is None else due / DELAY_FOLD / 1000,
        ahead=ahead,
        ahead_alike=alike,
        children=tuple(replies[13:]),
        log_rows=rows,
        lock=None if lock is None else lock.decode(errors="replace"),
        lock_left=max(0, lock_left) / 1000,
    )


async def group_place(client: aioredis.Redis, keys: QueueKeys, group: str) -> tuple[bool, int]:
    """Whether a group is paused, and how many of its jobs run. One round trip."""
    own = GroupKeys(keys)
    pipe = client.pipeline(transaction=False)
    pipe.sismember(own.paused, group)
    pipe.scard(own.active(group))
    paused, active = await pipe.execute()
    return bool(paused), int(active)


async def due_and_held(
    client: aioredis.Redis, keys: QueueKeys, ids: Sequence[str]
) -> list[tuple[float | None, bytes | None]]:
    """When each delayed job is due (epoch seconds), and what holds it. One round trip; none for none."""
    if not ids:
        return []
    pipe = client.pipeline(transaction=False)
    for job_id in ids:
        pipe.zscore(keys.delayed, job_id)
        pipe.hget(keys.job(job_id), HELD_FIELD)
    replies = await pipe.execute()
    return [
        (None if due is None else due / DELAY_FOLD / 1000, held)
        for due, held in zip(replies[::2], replies[1::2], strict=True)
    ]
