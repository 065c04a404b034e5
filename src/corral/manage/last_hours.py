"""The last hour of every queue by minute, for the small charts: read once, then only what is new.

A minute that is over does not change, since workers write by the server's clock, and what waited in it is
noted once, at most moments after its end; of 200 queues that leaves some hundred numbers of twenty thousand a
look. Limit: of a queue that was obliterated and came back within the hour, the old minutes are shown on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import redis.asyncio as aioredis

from corral.bullmq import depths, statistics
from corral.bullmq.depths import Depth
from corral.bullmq.keys import QueueKeys
from corral.bullmq.standings import chunks
from corral.bullmq.statistics import COUNTED, ENDS, MINUTE

MINUTES = 60

_ARRIVED = COUNTED.index("arrived")
_ENDS = tuple(map(COUNTED.index, ENDS))


@dataclass(frozen=True, slots=True)
class Hour:
    """A queue from minute `first` (since the epoch) on, oldest first.

    Jobs that came, that ended for good, and that waited, held ones among them (None: nobody looked).
    """

    first: int
    arrived: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    waiting: list[int | None] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.first + len(self.arrived) - 1


class LastHours:
    """The hours of one process's queues, by name."""

    def __init__(self) -> None:
        self._hours: dict[str, Hour] = {}

    async def read(self, client: aioredis.Redis, queues: Sequence[QueueKeys], now_ms: int) -> dict[str, Hour]:
        """Each queue's last 60 minutes; the last one is not over. One round trip for each 50 queues.

        Raises what redis-py raises.
        """
        last = now_ms // MINUTE.ms
        first = last - MINUTES + 1
        hours = {keys.name: self._hours.get(keys.name) or Hour(first) for keys in queues}
        by_start: dict[int, list[QueueKeys]] = {}
        for keys in queues:
            by_start.setdefault(_start(hours[keys.name], first), []).append(keys)
        self._hours = hours
        parts = [(start, part) for start, some in by_start.items() for part in chunks(some)]
        for start, some in parts:
            # What came is kept, also if time runs out: the next look goes on from there.
            counted, waiting = await asyncio.gather(
                statistics.read_counts(client, some, start, last),
                depths.read_minutes(client, some, start, last),
            )
            for keys, counts, seen in zip(some, counted, waiting, strict=True):
                hours[keys.name] = _moved(hours[keys.name], first, start, counts, seen)
        return dict(hours)


def _start(hour: Hour, first: int) -> int:
    """The minute to read from: the newest one was not over when it was read, and what waited in the one
    before may have come since. From `first` on if the clock was set back.
    """
    return first if hour.first > first else max(first, hour.last - 1)


def _moved(
    hour: Hour, first: int, start: int, counts: Sequence[Sequence[int]], depths_seen: Sequence[Depth | None]
) -> Hour:
    """What is kept of the hour from `first` to before `start`, and what was read from there on."""
    kept = slice(first - hour.first, start - hour.first) if start > first else slice(0)
    return Hour(
        first,
        hour.arrived[kept] + [one[_ARRIVED] if one else 0 for one in counts],
        hour.ended[kept] + [sum(one[end] for end in _ENDS if end < len(one)) for one in counts],
        hour.waiting[kept] + [None if one is None else one.waiting + one.held for one in depths_seen],
    )
