"""Reading what waits for children: a page of a queue's waiting parents, each with what it waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from corral.bullmq import flow_read, stuck
from corral.bullmq.families import child_key
from corral.bullmq.keys import QueueKeys
from corral.family import ChildKey, StuckParent, WaitingPage, WaitingParent

if TYPE_CHECKING:
    import redis.asyncio as aioredis

#: Parents that are judged in two round trips. With 100 children each they hold the server for about 10 ms.
LOOK_BATCH = 20

#: Pending children of a parent that are shown with it.
SOME = 3


async def count(client: aioredis.Redis, keys: QueueKeys) -> int:
    """How many jobs wait for children. One round trip. Those below 0 wait in a group: see lua/groups.lua."""
    return int(await client.zcount(keys.waiting_children, 0, "+inf"))


async def page(client: aioredis.Redis, keys: QueueKeys, start: int, most: int) -> WaitingPage:
    """Waiting parents from rank `start` on, the longest first. Four round trips, two more for each 20."""
    total = await count(client, keys)
    rows = await stuck.waiting_parents(client, keys, "+inf", start, most)
    if not rows:
        return WaitingPage(total, ())
    known = {one.id: one for one in await judged(client, keys, rows)}
    pipe = client.pipeline(transaction=False)
    for job_id, _ in rows:
        pipe.srandmember(keys.children(job_id).pending, SOME)
    picked = [[child_key(keys.prefix, raw) for raw in some] for some in await pipe.execute()]
    parents = [ChildKey(keys.name, job_id) for job_id, _ in rows]
    nodes = await flow_read.plain_nodes(client, keys.prefix, parents)
    wanted = [key for some in picked for key in some]
    children = iter(await flow_read.plain_nodes(client, keys.prefix, wanted))
    found = [
        WaitingParent(node, since / 1000, tuple(next(children) for _ in some), known.get(job_id))
        for node, (job_id, since), some in zip(nodes, rows, picked, strict=True)
    ]
    # What has gone on meanwhile waits no longer.
    return WaitingPage(total, tuple(one for one in found if one.node.status == "waiting-children"))


async def stuck_of(client: aioredis.Redis, keys: QueueKeys, job_ids: Sequence[str]) -> list[StuckParent]:
    """Which of these jobs wait in vain. One round trip, and two for each 20."""
    scores: Any = await client.zmscore(keys.waiting_children, list(job_ids)) if job_ids else []
    since = zip(job_ids, scores, strict=True)
    return await judged(client, keys, [(one, float(at)) for one, at in since if at is not None and at >= 0])


async def judged(
    client: aioredis.Redis, keys: QueueKeys, parents: list[tuple[str, float]]
) -> list[StuckParent]:
    """Which of these (id, since ms) wait in vain. Two round trips for each 20."""
    found: list[StuckParent] = []
    for start in range(0, len(parents), LOOK_BATCH):
        found += await stuck.stuck_among(client, keys, parents[start : start + LOOK_BATCH])
    return found
