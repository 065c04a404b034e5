"""How fast a worker gets through attempts of late: a sliding window over a count that only grows. Pure."""

from __future__ import annotations

from collections import deque

#: Some beats: long enough to level out, short enough to follow.
WINDOW_SECONDS = 30.0


class DoneMeter:
    """`note` the count at each beat. Times are seconds of a clock that does not jump."""

    def __init__(self, window_seconds: float = WINDOW_SECONDS) -> None:
        self._window_seconds = window_seconds
        self._samples: deque[tuple[float, int]] = deque()

    def note(self, at: float, done: int) -> float | None:
        """Take in the count. Returns how many a second came in the window; None: there is nothing to
        compare with, at the start and after a silence that was longer than the window.
        """
        self._samples.append((at, done))
        while at - self._samples[0][0] > self._window_seconds:
            self._samples.popleft()
        first_at, before = self._samples[0]
        return (done - before) / (at - first_at) if at > first_at else None
