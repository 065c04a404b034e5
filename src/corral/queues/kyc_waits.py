"""How long a verification waits for its provider. Pure.

The webhook ends the wait at once; these are the fallbacks. Onfido may be polled: after 30 s, then ever
doubled up to 15 min, for 24 h. iDenfy forbids polling: one look, 20 min after the session's end.
"""

from __future__ import annotations

from dataclasses import dataclass

from corral.providers.idenfy import SESSION_EXPIRY


@dataclass(frozen=True, slots=True)
class Polling:
    """Seconds: the first wait, the longest, and when to give up."""

    first: float = 30.0
    longest: float = 15 * 60.0
    give_up: float = 24 * 3600.0


#: Seconds from a session's end until iDenfy's webhook counts as lost.
IDENFY_GRACE = 20 * 60.0

IDENFY_WAIT = SESSION_EXPIRY + IDENFY_GRACE


def next_wait(polling: Polling, polls: int, elapsed: float) -> float | None:
    """Seconds until poll number `polls` (from 0), `elapsed` seconds after submission; None: give up."""
    left = polling.give_up - elapsed
    if left <= 0:
        return None
    return min(polling.first * 2.0 ** min(polls, 30), polling.longest, left)
