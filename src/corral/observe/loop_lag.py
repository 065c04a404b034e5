"""How long the event loop stood still: the longest stop of the last minute, whoever asks and how often.

A gauge that showed the last second alone would miss most stops between two scrapes.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

#: A stop is seen to this exactness.
LOOK_SECONDS = 0.1

#: For so long a stop is shown.
WINDOW_SECONDS = 60.0


class LoopLag:
    """Watches the loop that `watch` runs in. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: (when, how long) of stops that no later one exceeds: the first is the longest.
        self._stops: deque[tuple[float, float]] = deque()

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            before = self._clock()
            await asyncio.sleep(LOOK_SECONDS)
            self.note(self._clock() - before - LOOK_SECONDS)

    def note(self, seconds: float) -> None:
        """The loop was late by this much."""
        while self._stops and self._stops[-1][1] <= seconds:
            self._stops.pop()
        self._stops.append((self._clock(), max(0.0, seconds)))

    def longest(self) -> float:
        """Seconds; 0 before the first look."""
        since = self._clock() - WINDOW_SECONDS
        while self._stops and self._stops[0][0] < since:
            self._stops.popleft()
        return self._stops[0][1] if self._stops else 0.0
