"""Live limits of a queue: rate and concurrency over all workers, changed while they run.

Written where BullMQ keeps them (its setGlobalRateLimit, setGlobalConcurrency), so that Node workers obey them
too and Bull Board shows them. They are kept until they are changed; a queue declared with
`Queue(rate_limit=…)` falls back to that when the live one is taken away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corral.errors import InvalidOptions
from corral.policy import RateLimit

if TYPE_CHECKING:
    from corral.queue import Queue


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """What is set for the whole queue; None: nothing."""

    rate: RateLimit | None
    concurrency: int | None


class Limits:
    """`queue.limits`. All calls raise RedisUnavailable."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def set_rate(self, limit: RateLimit | None) -> None:
        """Limit the starts of the whole queue from now on; None takes the limit away. One round trip.

        Raises InvalidOptions for another window than that of `Queue(rate_limit=…)`: BullMQ's rule is that a
        worker keeps its own.
        """
        declared = self._queue.rate_limit
        if limit is not None and declared is not None and limit.per != declared.per:
            raise InvalidOptions(
                f"Queue {self._queue.name!r} declares windows of {declared.per} s, which its workers keep: "
                f"set RateLimit(…, per={declared.per})."
            )
        if limit is None:
            await self._write({}, ["max", "duration"])
        else:
            await self._write({"max": limit.jobs, "duration": max(1, round(limit.per * 1000))}, [])

    async def set_concurrency(self, jobs: int | None) -> None:
        """Let at most so many jobs run at once, over all workers; None: any number. One round trip.

        Jobs that run go on. Raises InvalidOptions.
        """
        if jobs is None:
            await self._write({}, ["concurrency"])
        elif jobs < 1:
            raise InvalidOptions(f"set_concurrency({jobs}): 1 or more, or None. To stop a queue, pause it.")
        else:
            await self._write({"concurrency": jobs}, [])

    async def get(self) -> LiveLimits:
        """What is set. One round trip."""
        with self._queue.redis_errors():
            values: Any = await self._queue.client().hmget(
                self._queue.keys().meta, "max", "duration", "concurrency"
            )
        most, window_ms, concurrency = (None if value is None else float(value) for value in values)
        return LiveLimits(
            rate=RateLimit(int(most), per=window_ms / 1000) if most and window_ms else None,
            concurrency=int(concurrency) if concurrency else None,
        )

    async def rate_limited_for(self) -> float:
        """Seconds until a job may start again; 0.0 if no rate holds jobs back. One round trip.

        Of the live rate, or else of `Queue(rate_limit=…)`; what another process declares is not known here.
        """
        keys, declared = self._queue.keys(), self._queue.rate_limit
        with self._queue.redis_errors():
            pipe = self._queue.client().pipeline(transaction=True)
            pipe.hget(keys.meta, "max")
            pipe.get(keys.limiter)
            pipe.pttl(keys.limiter)
            live, used, left = await pipe.execute()
        most = float(live) if live else declared.jobs if declared else 0
        return max(0, left) / 1000 if most and float(used or 0) >= most else 0.0

    async def release_rate_limit(self) -> None:
        """Begin a new window now. One round trip."""
        keys = self._queue.keys()
        with self._queue.redis_errors():
            pipe = self._queue.client().pipeline(transaction=True)
            pipe.delete(keys.limiter)
            pipe.zadd(keys.marker, {"0": 0})
            await pipe.execute()

    async def _write(self, values: Mapping[Any, int], gone: list[str]) -> None:
        keys = self._queue.keys()
        with self._queue.redis_errors():
            pipe = self._queue.client().pipeline(transaction=True)
            if values:
                pipe.hset(keys.meta, mapping=values)
            if gone:
                pipe.hdel(keys.meta, *gone)
            pipe.zadd(keys.marker, {"0": 0})  # what the old limit held back may start
            await pipe.execute()
