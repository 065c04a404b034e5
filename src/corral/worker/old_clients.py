"""Minds BullMQ 5 clients that share a queue: they can lose its jobs when it is paused and resumed.

Their pause renames `wait` to `paused` and their resume renames it back, each over whatever the other list
holds by then. So `paused` is emptied into `wait`, also while the queue is paused: where it is empty, a rename
changes nothing.

Limit: it is emptied once in CORRAL_STALLED_SECONDS. What BullMQ 5 adds to a paused queue after that stays in
`paused`, and if BullMQ 5 itself resumes before the next time, the jobs in `wait` are in no list any more.

Costs one round trip an interval. Emits: old_clients_on_queue (queue, seen, advice), once a day for a queue
over all workers; paused_jobs_merged (queue, jobs).
"""

from __future__ import annotations

import structlog
from redis.asyncio import Redis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.old_clients import evidence, merge_paused, remember

log = structlog.get_logger(__name__)

ADVICE = (
    "BullMQ 5 can lose waiting jobs when it pauses or resumes a queue that others add to. "
    "Pause and resume with Corral or BullMQ 6 only, and upgrade that client."
)


async def mind_old_clients(client: Redis, keys: QueueKeys) -> None:
    """Merge their `paused` list, and warn. Raises what redis-py raises."""
    merged = await merge_paused(client, keys)
    seen = evidence(merged.version, merged.moved)
    if merged.moved:
        log.warning("paused_jobs_merged", queue=keys.name, jobs=merged.moved)
    if seen and await remember(client, keys, seen):
        log.warning("old_clients_on_queue", queue=keys.name, seen=seen, advice=ADVICE)
