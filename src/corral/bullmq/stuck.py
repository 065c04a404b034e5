"""Finding parents that wait for children which will never tell them that they finished."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from corral.bullmq.families import child_key
from corral.bullmq.keys import QueueKeys
from corral.family import ChildKey, StuckParent, StuckReason, fault_of

if TYPE_CHECKING:
    import redis.asyncio as aioredis

#: Pending children of one parent that are looked at, by chance. Enough: those that can finish do so, until
#: only the ones at fault are left.
LOOK_CHILDREN = 100

#: Children at fault that a stuck parent names.
NAME_CHILDREN = 10


async def waiting_parents(
    client: aioredis.Redis, keys: QueueKeys, before_ms: float | str, start: int, count: int
) -> list[tuple[str, float]]:
    """(id, since ms) of jobs that wait for children since before that time, the longest first.

    Below 0 are jobs of groups, which wait for their turn: see lua/groups.lua.
    """
    rows: Any = await client.zrangebyscore(
        keys.waiting_children, 0, before_ms, start=start, num=count, withscores=True
    )
    return [(job_id.decode(), float(score)) for job_id, score in rows]


async def stuck_among(
    client: aioredis.Redis, keys: QueueKeys, parents: Sequence[tuple[str, float]]
) -> list[StuckParent]:
    """Which of these parents wait in vain. Two round trips, at most LOOK_CHILDREN children of each."""
    pipe = client.pipeline(transaction=False)
    for job_id, _ in parents:
        pipe.srandmember(keys.children(job_id).pending, LOOK_CHILDREN)
    looked: list[list[bytes]] = await pipe.execute()
    # One moment for all of it: a child that ends meanwhile would seem to be gone.
    pipe = client.pipeline(transaction=True)
    for (job_id, _), children in zip(parents, looked, strict=True):
        pipe.zscore(keys.waiting_children, job_id)
        pipe.scard(keys.children(job_id).pending)
        for raw in children:
            child = child_key(keys.prefix, raw)
            base = raw[: len(raw) - len(child.id.encode())]
            pipe.smismember(keys.children(job_id).pending, [raw])
            pipe.hmget(raw, "timestamp", "parentKey")
            pipe.zscore(base + b"failed", child.id)
            pipe.zscore(base + b"completed", child.id)
    replies = iter(await pipe.execute(raise_on_error=False))
    stuck = []
    for (job_id, since), children in zip(parents, looked, strict=True):
        waits, left = next(replies), next(replies)
        faults: list[tuple[StuckReason, ChildKey]] = []
        for raw in children:
            pending_still, fields, failed, completed = (next(replies) for _ in range(4))
            added, parent = (None, None) if isinstance(fields, Exception) else fields
            fault = fault_of(
                exists=added is not None,
                belongs=parent == keys.job(job_id).encode(),
                has_failed=isinstance(failed, float),
                has_completed=isinstance(completed, float),
            )
            if pending_still == [1] and fault is not None:
                faults.append((fault, child_key(keys.prefix, raw)))
        if waits is None:
            continue
        if faults:
            names = tuple(name for _, name in faults[:NAME_CHILDREN])
            stuck.append(StuckParent(job_id, since / 1000, faults[0][0], names))
        elif left == 0:
            stuck.append(StuckParent(job_id, since / 1000, StuckReason.NOTHING_PENDING, ()))
    return stuck


async def take_turn(client: aioredis.Redis, keys: QueueKeys, seconds: float) -> bool:
    """True for one worker of the queue in each so many seconds. One round trip."""
    return bool(await client.set(keys.stuck_check, 1, nx=True, px=round(seconds * 1000)))
