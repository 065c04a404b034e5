"""Rescue: jobs whose worker died go back to their queue.

BullMQ's sweep marks all active jobs, and one interval later puts back those that are still marked and whose
lock has run out. One worker an interval does it, whichever comes first; every worker tries.
What was put back so is a suspect at its next start; see `suspects`.

Emits: job_rescued (queue, job), rescue_failed (queue, error).
"""

from __future__ import annotations

import asyncio
import time

import structlog
from redis.exceptions import RedisError

from corral.bullmq.consumer import Consumer
from corral.worker.old_clients import mind_old_clients
from corral.worker.suspects import MAX_STALLS
from corral.worker.tally import Tally

log = structlog.get_logger(__name__)


async def sweep_for_ever(consumer: Consumer, interval_seconds: float, *, tally: Tally) -> None:
    """Sweep at once and then every interval, until cancelled. What is rescued counts in the tally."""
    queue = consumer.keys.name
    while True:
        try:
            now_ms = round(time.time() * 1000)
            rescued = await consumer.sweep_stalled(MAX_STALLS, interval_seconds, now_ms)
            for job_id in rescued:
                log.warning("job_rescued", queue=queue, job=job_id)
            if rescued:
                for name in await consumer.names(rescued):
                    tally.row(name).stalled += 1
            await consumer.heal_groups(interval_seconds)
            await mind_old_clients(consumer.client, consumer.keys)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("rescue_failed", queue=queue, error=type(error).__name__)
        await asyncio.sleep(interval_seconds)
