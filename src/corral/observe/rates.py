"""How fast queues move, for who read how they stand without it: numbers alone, no times.

Decoding times is most of the work of reading what was counted lately, and a process that answers people
should not feel it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import redis.asyncio as aioredis

from corral.bullmq import statistics
from corral.bullmq.keys import QueueKeys
from corral.bullmq.statistics import COUNTED, ENDS, MINUTE
from corral.observe.stand import RECENT_MINUTES
from corral.observe.standing import Recent, Standing
from corral.stats import window_seconds


async def with_rates(client: aioredis.Redis, prefix: str, standing: Standing) -> Standing:
    """The same, with what ended lately in the queues that workers of the registry serve.

    One round trip for each 50 of them. Raises what redis-py raises.
    """
    served = sorted({name for worker in standing.workers for name in worker.queues} & standing.queues.keys())
    now_ms = round(standing.at * 1000)
    last, seconds = now_ms // MINUTE.ms, window_seconds(RECENT_MINUTES, now_ms)
    keys = [QueueKeys(prefix, name) for name in served]
    found = await statistics.read_counts(client, keys, last - RECENT_MINUTES + 1, last) if keys else []
    moving = {
        name: replace(standing.queues[name], recent=_recent(minutes, seconds))
        for name, minutes in zip(served, found, strict=True)
    }
    return replace(standing, queues={**standing.queues, **moving})


def _recent(minutes: Sequence[Sequence[int]], seconds: float) -> Recent:
    ended = dict.fromkeys(ENDS, 0)
    for counts in minutes:
        told = dict(zip(COUNTED, counts, strict=False))
        for end in ENDS:
            ended[end] += told.get(end, 0)
    return Recent(window_seconds=seconds, **ended)
