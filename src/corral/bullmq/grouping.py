"""What groups ask of Redis outside a worker's turn and an add. What the keys hold: lua/groups.lua."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from corral.bullmq import redis_errors
from corral.bullmq.keys import GroupKeys, QueueKeys
from corral.bullmq.scripts import official, ours

if TYPE_CHECKING:
    import redis.asyncio as aioredis

#: What the name of a keyed lock begins with among the groups.
LOCK = "lock:"

#: Field of a job that names its group.
GROUP_FIELD = "corral:group"

#: Jobs removed in one round trip.
DRAIN_BATCH = 500


class GroupRow(NamedTuple):
    """A group as Redis has it."""

    waiting: int
    active: int
    paused: bool
    limits: bytes | None
    since_ms: float
    used: int


async def change(client: aioredis.Redis, keys: QueueKeys, group: str, what: str, value: str) -> None:
    """Pause, resume, limit or unlimit a group. One round trip."""
    own = GroupKeys(keys)
    await ours("group_change")(
        client, [own.paused, own.limits, own.limited, keys.marker], keys.base, group, what, value
    )


async def states(client: aioredis.Redis, keys: QueueKeys, groups: Sequence[str]) -> list[GroupRow]:
    """A row for each of the groups. One round trip."""
    if not groups:
        return []
    own = GroupKeys(keys)
    pipe = client.pipeline(transaction=False)
    for group in groups:
        pipe.zcard(own.jobs(group))
        pipe.scard(own.active(group))
        pipe.sismember(own.paused, group)
        pipe.hget(own.limits, group)
        pipe.hmget(own.window(group), "since", "used")
    replies = await pipe.execute()
    rows = []
    for i in range(0, len(replies), 5):
        waiting, active, paused, limits, (since, used) = replies[i : i + 5]
        rows.append(GroupRow(waiting, active, bool(paused), limits, float(since or 0), int(used or 0)))
    return rows


async def names(client: aioredis.Redis, keys: QueueKeys, limit: int, *, locks: bool = False) -> list[str]:
    """Groups with waiting or running jobs, at most `limit`, with keyed locks only if asked for.

    A round trip for each few hundred.
    """
    found: dict[str, None] = {}
    async for raw in client.sscan_iter(GroupKeys(keys).all, count=500):
        name = raw.decode()
        if locks or not name.startswith(LOCK):
            found[name] = None
            if len(found) >= limit:
                break
    return list(found)


async def drain(client: aioredis.Redis, keys: QueueKeys, group: str) -> int:
    """Remove a group's waiting jobs as BullMQ's `remove` does. Three round trips a batch."""
    own = GroupKeys(keys)
    script = official("removeJob")
    removed = 0
    while True:
        ids: Any = await client.zrange(own.jobs(group), 0, DRAIN_BATCH - 1)
        if not ids:
            return removed
        texts = [job_id.decode() for job_id in ids]
        pipe = client.pipeline(transaction=False)
        for job_id in texts:
            # A job that starts meanwhile is locked, and left alone.
            pipe.evalsha(script.sha, 2, keys.job(job_id), keys.repeat, job_id, 0, keys.base)
        try:
            removed += (await pipe.execute()).count(1)
        except redis_errors.NoScriptError:
            await client.script_load(script.source)
            continue
        gone = await ours("group_forget")(
            client, [own.jobs(group), keys.waiting_children], keys.base, group, *texts
        )
        if not gone:
            return removed  # what is left cannot be removed, or started just now


async def heal(client: aioredis.Redis, keys: QueueKeys, interval_ms: int) -> None:
    """Free the places of jobs that no longer run. One round trip; one more for each 200 groups."""
    own = GroupKeys(keys)
    cursor = "0"
    while True:
        answer: bytes = await ours("group_heal")(
            client,
            [own.all, own.healed, keys.active, keys.meta, keys.marker],
            keys.base,
            cursor,
            interval_ms,
        )
        cursor = answer.decode()
        if cursor == "0":
            return
