"""A breaker: whether the jobs that need one provider may run. Pure values and decisions, no I/O.

    closed ──(a key is wrong, failures in a row, an operator)──→ open
    open ──(its time has come)──→ half open: one held job runs as the probe
    half open ──(the provider answers)──→ closed: held jobs run again, at a pace
    half open ──(the same again, or nothing said in time)──→ open, with twice the time to the next probe

One that an operator opened sends no probes: only an operator closes it. Times are epoch seconds of Redis's
clock. The shell is `bullmq/breaking.py` (what it looks like in Redis) and `worker/breakers.py` (who acts).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from corral.settings import Settings


Cause = Literal["configuration", "failures", "operator"]

#: Longest time between two probes.
LONGEST_PROBE_SECONDS = 300.0

#: A probe that said nothing for so long is over, so that a prober that died stops nobody.
PROBE_LEASE_SECONDS = 60.0

#: Held jobs that one step lets go: some milliseconds of Redis.
MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say; see docs/engine/breakers.md. Seconds, and jobs a second."""

    hold_seconds: float = 86_400.0
    probe_seconds: float = 10.0
    rate: float = 10.0
    failures: int = 0
    window_seconds: float = 60.0

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        return cls(
            settings.breaker_hold_seconds,
            settings.breaker_probe_seconds,
            settings.breaker_rate,
            settings.breaker_failures,
            settings.breaker_window_seconds,
        )

    def until_probe(self, failed_probes: int) -> float:
        """Seconds from an opening, or from a failed probe, to the next."""
        # 2 to the 16th is past every limit; a higher power would overflow some day.
        wait = self.probe_seconds * 2.0 ** min(failed_probes, 16)
        return min(wait, max(LONGEST_PROBE_SECONDS, self.probe_seconds))


@dataclass(frozen=True, slots=True)
class Breaker:
    """One breaker. `version` counts its changes; a change is written only over the one it was made from."""

    name: str
    version: int = 0
    is_open: bool = False
    #: Which opening it is, or was; a hold says under which it began.
    opening: int = 0
    #: Since when it is open, or closed.
    since: float = 0.0
    cause: Cause = "configuration"
    reason: str = ""
    #: The job that met it first, `queue:id`; "": none.
    job: str = ""
    #: The job that runs as the probe, `queue:id`; "": none does.
    probe: str = ""
    probe_until: float = 0.0
    failed_probes: int = 0
    next_probe: float = 0.0
    #: Held jobs a second that run again after it closed, and when the last ones did.
    rate: float = 10.0
    released_at: float = 0.0

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        if not self.is_open:
            return "closed"
        return "half-open" if self.probe else "open"


# Transitions. None: nothing changes.


def opened(breaker: Breaker, cause: Cause, reason: str, job: str, now: float, rules: Rules) -> Breaker | None:
    """It was met in a way that opens it. `job` is who met it."""
    if not breaker.is_open:
        return replace(
            breaker,
            version=breaker.version + 1,
            is_open=True,
            opening=breaker.opening + 1,
            since=now,
            cause=cause,
            reason=reason,
            job=job,
            probe="",
            failed_probes=0,
            next_probe=now + rules.until_probe(0),
        )
    if cause == "operator":
        return replace(breaker, version=breaker.version + 1, cause=cause, reason=reason, probe="")
    if breaker.probe and job == breaker.probe:
        return probe_over(breaker, now, rules)
    return None


def probing(breaker: Breaker, held: int, now: float) -> Breaker | None:
    """A held job is to run as the probe, if it is time. Which one is found where it is released."""
    due = breaker.is_open and breaker.cause != "operator" and not breaker.probe and now >= breaker.next_probe
    if not due or not held:
        return None
    return replace(breaker, version=breaker.version + 1, probe="?", probe_until=now + PROBE_LEASE_SECONDS)


def probe_over(breaker: Breaker, now: float, rules: Rules) -> Breaker | None:
    """The probe failed, or ended without a word: back to open, and a longer wait."""
    if not breaker.is_open or not breaker.probe:
        return None
    failed = breaker.failed_probes + 1
    return replace(
        breaker,
        version=breaker.version + 1,
        probe="",
        failed_probes=failed,
        next_probe=now + rules.until_probe(failed),
    )


def succeeded(breaker: Breaker, opening: int, now: float, rules: Rules) -> Breaker | None:
    """A job that ran as a probe of this opening had an answer: the provider is well.

    A probe whose time was over counts too. One of an earlier opening says nothing about this one.
    """
    if not breaker.is_open or breaker.opening != opening or breaker.cause == "operator":
        return None
    return closed(breaker, now, rules.rate)


def closed(breaker: Breaker, now: float, rate: float) -> Breaker | None:
    """Let the held jobs go, `rate` a second; also a new pace for one that is closed already."""
    if not breaker.is_open and breaker.rate == rate:
        return None
    return replace(
        breaker,
        version=breaker.version + 1,
        is_open=False,
        since=now if breaker.is_open else breaker.since,
        probe="",
        failed_probes=0,
        rate=rate,
        released_at=now,
    )


def releasing(breaker: Breaker, held: int, now: float) -> tuple[Breaker, int] | None:
    """How many held jobs may go now, after it closed."""
    if breaker.is_open or not held:
        return None
    # A worker that slept must not let go at once what was to go in an hour.
    count = min(held, MOST_AT_ONCE, math.floor(min(now - breaker.released_at, 5.0) * breaker.rate))
    if count < 1 and now - breaker.released_at >= 1 / breaker.rate:
        count = 1
    if count < 1:
        return None
    return replace(breaker, version=breaker.version + 1, released_at=now), count


# The hold of one job


@dataclass(frozen=True, slots=True)
class Hold:
    """What a job's field `corral:held` says: which breaker, which of its openings, since when.

    mark: "" as it is held; "probe", "released" once it was let go.
    """

    breaker: str
    opening: int
    since: float
    mark: str = ""

    def field(self) -> str:
        return f"{self.breaker} {self.opening} {round(self.since * 1000)}"

    def left(self, now: float, rules: Rules) -> float:
        """Seconds for which it may still be held; not above zero: none."""
        return self.since + rules.hold_seconds - now


def read_hold(field: bytes | None) -> Hold | None:
    """None: it was never held, or by a version that this one does not know."""
    parts = (field or b"").decode(errors="replace").split(" ")
    try:
        return Hold(parts[0], int(parts[1]), int(parts[2]) / 1000, parts[3] if len(parts) > 3 else "")
    except (IndexError, ValueError):
        return None


def hold_again(before: Hold | None, breaker: str, opening: int, now: float) -> Hold:
    """A job meets an open breaker: its hold goes on if it began under the same opening."""
    if before is not None and (before.breaker, before.opening) == (breaker, opening):
        return Hold(breaker, opening, before.since)
    return Hold(breaker, opening, now)


def expired_reason(breaker: str, reason: str, rules: Rules) -> str:
    hours = rules.hold_seconds / 3600
    return (
        f"Held for {hours:g} h, and {breaker} is still out of order: {reason}. Repair it, then retry the job."
    )


# Failures in a row


@dataclass(frozen=True, slots=True)
class Streak:
    """Failures of one provider in a row, as one process saw them: the first one's time, and how many."""

    first: float
    count: int


def another_failure(streak: Streak | None, now: float, rules: Rules) -> Streak:
    """Beyond the window the count starts anew."""
    if streak is None or now - streak.first > rules.window_seconds:
        return Streak(now, 1)
    return replace(streak, count=streak.count + 1)
