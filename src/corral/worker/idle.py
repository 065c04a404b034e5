"""What wakes an idle feed: the queue's marker, or the moment at which a job is due.

The marker is a hint that stock BullMQ clients leave for workers, not a promise, so the feed also looks by
itself now and then. Delayed jobs get a timer here: Redis ends a blocking read up to 100 ms late.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from redis.exceptions import RedisError

from corral.bullmq.consumer import Consumer, Step
from corral.bullmq.failures import is_outage
from corral.worker.outage import Outage

#: With an empty queue, look again after this even if no marker came.
POLL_SECONDS = 5.0

#: A timer is at most so long, so that a wrong clock or a far job costs one idle look a minute.
LONGEST_TIMER_SECONDS = 60.0


class Idle:
    """Calls `look_again` when there may be work. `rest()` says that the feed found none."""

    def __init__(
        self,
        consumer: Consumer,
        outage: Outage,
        *,
        is_resting: Callable[[], bool],
        is_quiet: Callable[[], bool],
        look_again: Callable[[], None],
    ) -> None:
        self._consumer = consumer
        self._outage = outage
        self._is_resting = is_resting
        self._is_quiet = is_quiet
        self._look_again = look_again
        self._loop = asyncio.get_running_loop()
        self._resting = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._server_ahead = 0.0  # seconds by which Redis's clock is ahead of ours

    def rest(self) -> None:
        self._resting.set()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def note(self, step: Step, *, found_all: bool) -> None:
        """Read from an answer when to look again: it found fewer jobs than it was asked for, or all."""
        self._server_ahead = step.now_ms / 1000 - time.time()
        if found_all:
            return
        if step.rate_ttl_ms > 0:
            self._look_again_in(step.rate_ttl_ms / 1000)
        elif step.next_due_ms > 0:
            until_due = max(0.0, (step.next_due_ms - step.now_ms) / 1000)
            self._look_again_in(LONGEST_TIMER_SECONDS if step.stopped else until_due)

    async def watch(self) -> None:
        """Sleep on the marker whenever the feed rests, until cancelled."""
        while True:
            if not self._is_resting():
                self._resting.clear()
                await self._resting.wait()
                continue
            try:
                due_ms = await self._consumer.wait_for_work(POLL_SECONDS)
                if due_ms is not None and self._is_quiet():  # asked before it went quiet
                    await self._consumer.wake_another()
            except (RedisError, OSError, TimeoutError) as error:
                self._look_again()
                if not is_outage(error):
                    raise
                await self._outage.wait(error)
                self._look_again()
                continue
            seconds = due_ms / 1000 - time.time() - self._server_ahead if due_ms else 0.0
            if seconds > 0.001:
                self._look_again_in(seconds)
            else:
                self._look_again()

    def _look_again_in(self, seconds: float) -> None:
        """The earliest moment counts: a rate limit may end long before the next job is due."""
        when = self._loop.time() + min(seconds, LONGEST_TIMER_SECONDS)
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        self._look_again()
