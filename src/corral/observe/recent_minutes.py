"""What was counted in the last minutes, for who looks again and again: a minute that is over is read once.

It does not change, since workers write by the server's clock. Of five minutes of 200 queues with seven job
names that leaves some 1,600 entries of 8,000 a look. Limit: of a queue that was obliterated and came back
meanwhile, the minutes before are still told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import redis.asyncio as aioredis

from corral.bullmq import statistics
from corral.bullmq.keys import QueueKeys
from corral.bullmq.statistics import MINUTE, Lately

#: A minute counts as over so long after its end: the server's clock is known to some milliseconds.
SURE_MS = 1_000


class RecentMinutes:
    """The minutes of one process's queues. Ask one of these always with the same `minutes` and `names`."""

    def __init__(self) -> None:
        self._over: dict[str, dict[int, Mapping[str, bytes]]] = {}

    async def read(
        self, client: aioredis.Redis, queues: Sequence[QueueKeys], minutes: int, now_ms: int, *, names: bool
    ) -> list[Lately]:
        """As `statistics.read_recent`. One round trip; none for no minutes. Raises what redis-py raises."""
        if not minutes:
            return [Lately((), {})] * len(queues)
        last = now_ms // MINUTE.ms
        first = last - minutes + 1
        kept = {keys.name: self._over.get(keys.name, {}) for keys in queues}
        start = min((_start(of, first, last) for of in kept.values()), default=first)
        read = await statistics.read_by_name(client, queues, start, last, names=names)
        over = (now_ms - SURE_MS) // MINUTE.ms
        every = {
            name: {n: of[n] for n in range(first, start)} | dict(enumerate(new, start))
            for (name, of), new in zip(kept.items(), read, strict=True)
        }
        self._over = {
            name: {number: one for number, one in of.items() if number < over} for name, of in every.items()
        }
        return [statistics.joined(every[keys.name].values()) for keys in queues]


def _start(over: Mapping[int, object], first: int, last: int) -> int:
    """The first minute that is not kept."""
    return next((number for number in range(first, last) if number not in over), last)
