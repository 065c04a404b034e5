"""How often a key may call: a token bucket in this process's memory.

Each process counts for itself: two of them let through twice as much. Nothing is asked of Redis, so a request
costs a comparison and an addition. A bulk request is one request.
"""

from __future__ import annotations

import math

from corral.api.problems import Problem
from corral.credentials.grants import Rate


class Bucket:
    """Holds `rate.requests` tokens, is full at first, and fills in `rate.per` seconds."""

    __slots__ = ("_interval", "_slack", "_until", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._interval = rate.per / rate.requests
        self._slack = rate.per - self._interval
        #: When it will be full again: all that a bucket has to remember.
        self._until = -math.inf

    def take(self, now: float) -> float:
        """Take a token. `now`: seconds of any clock that only goes forward.

        Returns 0, or the seconds until there is one.
        """
        until = max(self._until, now)
        late = until - now - self._slack
        if late > 1e-9:  # less is what adding fractions leaves over
            return late
        self._until = until + self._interval
        return 0.0

    def problem(self, key: str, wait: float) -> Problem:
        """What who finds it empty is told, with the fields of the IETF's draft on rate limits."""
        seconds = max(1, math.ceil(wait))
        rate = self.rate
        return Problem(
            429,
            "rate-limited",
            "Too many requests",
            f"The key {key!r} may send {rate} to each process of this service. Try again in {wait:.3g} s.",
            headers=(
                ("Retry-After", str(seconds)),
                ("RateLimit-Policy", f'"key";q={rate.requests};w={rate.per:.0f}'),
                ("RateLimit", f'"key";r=0;t={seconds}'),
            ),
        )
