"""Living without Redis: how long it has been away, and how long to wait before the next try.

Emits: redis_lost (queue, error), redis_back (queue, away_seconds).
"""

from __future__ import annotations

import asyncio
import time

import structlog

from corral.bullmq.failures import code

log = structlog.get_logger(__name__)

#: Waits between tries; the last repeats. Short, so that a worker is back within 5 s of Redis's return.
RECONNECT_SECONDS = (0.05, 0.2, 0.5, 1.0)


class Outage:
    """The connection of one feed, as its calls experience it."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._failures = 0
        #: Monotonic time since when Redis does not answer; None: it does.
        self.away_since: float | None = None
        #: Monotonic time of the last answer.
        self.last_answer = time.monotonic()

    async def wait(self, error: BaseException) -> None:
        """A call failed: note it, and sleep until the next try makes sense."""
        if self.away_since is None:
            self.away_since = time.monotonic()
            log.error("redis_lost", queue=self._queue, error=code(error))
        await asyncio.sleep(pause(self._failures))
        self._failures += 1

    def answered(self) -> bool:
        """A call was answered. True if that ends an outage."""
        self.last_answer = now = time.monotonic()
        if self.away_since is None:
            return False
        log.info("redis_back", queue=self._queue, away_seconds=round(now - self.away_since, 1))
        self.away_since = None
        self._failures = 0
        return True


def pause(failures: int) -> float:
    """Seconds before the next try, after so many failed ones before this one."""
    return RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)]
