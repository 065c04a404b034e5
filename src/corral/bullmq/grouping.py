"""What groups ask of Redis outside a worker's turn and an add. What the keys hold: lua/groups.lua."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from corral.bullmq.codec import LARGEST
from corral.bullmq.keys import GroupKeys, QueueKeys
from corral.bullmq.scripts import ours

if TYPE_CHECKING:
    import redis.asyncio as aioredis

#: What the name of a keyed lock begins with among the groups.
LOCK = "lock:"

#: Field of a job that names its group.
GROUP_FIELD = "corral:group"

#: Jobs looked at in one step.
BATCH = 500


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


async def clean(
    client: aioredis.Redis,
    keys: QueueKeys,
    group: str,
    *,
    until_ms: int = LARGEST,
    limit: int = sys.maxsize,
) -> int:
    """Remove what waits in a group and was last started, or else added, by `until_ms`; at most `limit` jobs.

    As BullMQ's `remove` does; a job that starts meanwhile is locked, and left alone. Returns how many.
    Four or five round trips for each BATCH jobs of the group.
    """
    from corral.bullmq.admin import remove, touched_before  # noqa: PLC0415  # see decision 7

    own = GroupKeys(keys)
    removed = kept = 0
    while removed < limit:
        ids: Any = await client.zrange(own.jobs(group), kept, kept + BATCH - 1)
        if not ids:
            break
        old = await touched_before(client, keys, [job_id.decode() for job_id in ids], until_ms)
        old = old[: limit - removed]
        removed += (await remove(client, keys, old, children=False)).count(1)
        gone = 0
        if old:
            gone = await ours("group_forget")(
                client, [own.jobs(group), keys.waiting_children], keys.base, group, *old
            )
        kept += len(ids) - gone  # too young, started just now, or not to be removed
    return removed


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
