"""The last hour of every queue by minute, for the small charts: read once, then only what is new.

A minute that is over does not change, since workers write by the server's clock, and what waited in it is
noted once, at most moments after its end; of 200 queues that leaves some hundred numbers of twenty thousand a
look. Limit: of a queue that was obliterated and came back within the hour, the old minutes are shown on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import redis.asyncio as aioredis

from corral.bullmq import depths, statistics
from corral.bullmq.depths import Depth
from corral.bullmq.keys import QueueKeys
from corral.bullmq.standings import chunks
from corral.bullmq.statistics import MINUTE

MINUTES = 60

#: How a job ends for good, by the names that are counted.
ENDS = ("completed", "failed", "cancelled")


class Minute(NamedTuple):
    """Jobs that came, that ended for good, and that waited, held ones among them (None: nobody looked)."""

    arrived: int
    ended: int
    waiting: int | None


_NOTHING = Minute(0, 0, None)


class LastHours:
    """The hours of one process's queues, by name."""

    def __init__(self) -> None:
        self._hours: dict[str, dict[int, Minute]] = {}

    async def read(
        self, client: aioredis.Redis, queues: Sequence[QueueKeys], now_ms: int
    ) -> dict[str, list[Minute]]:
        """Each queue's last 60 minutes, oldest first; the last one is not over. One round trip for each
        50 queues. Raises what redis-py raises.
        """
        last = now_ms // MINUTE.ms
        first = last - MINUTES + 1
        hours = {keys.name: self._hours.get(keys.name, {}) for keys in queues}
        by_start: dict[int, list[QueueKeys]] = {}
        for keys in queues:
            # The newest one was not over when it was read; what waited in the one before may have come since.
            start = max(first, max(hours[keys.name], default=first) - 1)
            by_start.setdefault(start, []).append(keys)
        self._hours = hours
        parts = [(start, part) for start, some in by_start.items() for part in chunks(some)]
        for start, some in parts:
            # What came is kept, also if time runs out: the next look goes on from there.
            counted, waiting = await asyncio.gather(
                statistics.read_counts(client, some, start, last),
                depths.read_minutes(client, some, start, last),
            )
            for keys, counts, seen in zip(some, counted, waiting, strict=True):
                kept = {number: one for number, one in hours[keys.name].items() if number >= first}
                minutes = map(_minute, counts, seen)
                hours[keys.name] = kept | dict(enumerate(minutes, start))
        return {
            name: [of.get(number, _NOTHING) for number in range(first, last + 1)]
            for name, of in hours.items()
        }


def _minute(counts: dict[str, int], depth: Depth | None) -> Minute:
    ended = sum(counts.get(end, 0) for end in ENDS)
    return Minute(counts.get("arrived", 0), ended, None if depth is None else depth.waiting + depth.held)
