"""Parents in a worker: leaving a job to its children, and noticing those that wait in vain.

Emits: job_waits_for_children (queue, job), parent_stuck (queue, job, reason, children, waiting_seconds; once
a worker for as long as the parent is stuck), parent_watch_failed (queue, error).
"""

from __future__ import annotations

import asyncio

import structlog
from redis.exceptions import RedisError

from corral.bullmq import families, stuck
from corral.bullmq import settlement as wire
from corral.bullmq.clock import server_ms, server_seconds
from corral.bullmq.consumer import Consumer
from corral.bullmq.settlement import Settlement
from corral.children import child_failed
from corral.errors import ChildFailed, CorralError
from corral.queue import Queue

log = structlog.get_logger(__name__)

#: How often one worker of a queue looks for stuck parents.
STUCK_CHECK_SECONDS = 60.0


async def leave_for_children(consumer: Consumer, job_id: str, token: str) -> Settlement | ChildFailed | None:
    """Move a job, whose handler has been left, to waiting-children. One round trip.

    None: it is there, or no longer ours. A settlement: it goes back and runs again at once.
    """
    queue = consumer.keys.name
    try:
        if not await consumer.lock_now(job_id, token):
            return None
        now_ms = await server_ms(consumer.client)
        code = await families.wait_for_children(consumer.client, consumer.keys, job_id, token, now_ms)
    except (RedisError, OSError, TimeoutError):
        # The settlement is kept until Redis answers; then the handler comes here again.
        return wire.put_back(job_id, token)
    if code == 0:
        log.info("job_waits_for_children", queue=queue, job=job_id)
        return None
    if code == 1:  # they finished while the handler was left
        return wire.put_back(job_id, token)
    if code == -9:
        return child_failed()
    log.warning("lock_lost", queue=queue, job=job_id)
    return None


async def watch_parents(queue: Queue, interval_seconds: float = STUCK_CHECK_SECONDS) -> None:
    """Look for stuck parents every interval, until cancelled. One worker of the queue does it each time."""
    known: set[str] = set()
    while True:
        await asyncio.sleep(interval_seconds)
        try:
            with queue.redis_errors():
                # A little less than the interval: else a clock's jitter makes each second turn nobody's.
                mine = await stuck.take_turn(queue.client(), queue.keys(), interval_seconds * 0.9)
            if mine:
                known = await report_stuck(queue, known, interval_seconds)
        except CorralError as error:
            log.warning("parent_watch_failed", queue=queue.name, error=type(error).__name__)


async def report_stuck(queue: Queue, known: set[str], older_than: float) -> set[str]:
    """Log the stuck parents that are not in `known`. Returns all that are stuck now."""
    found = await queue.stuck_parents(older_than=older_than)
    now = await server_seconds(queue.client()) if found else 0.0
    for parent in found:
        if parent.id not in known:
            log.warning(
                "parent_stuck",
                queue=queue.name,
                job=parent.id,
                reason=parent.reason.value,
                children=[f"{child.queue}:{child.id}" for child in parent.children],
                waiting_seconds=round(now - parent.waiting_since),
            )
    return {parent.id for parent in found}
