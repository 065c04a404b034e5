"""What a rule is: what it measures, when that is too much, and what a person is told. Pure.

A rule measures one number for each subject (a queue, a breaker, the server); more is worse. Above `fire` it
is bad, at `clear` or below it is good, and in between it stays what it was: that is the hysteresis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from corral.observe.standing import Standing

Severity = Literal["critical", "warning", "info"]

#: What a value counts, which decides how it is written.
Unit = Literal["jobs", "seconds", "share", "count"]


@dataclass(frozen=True, slots=True)
class Limits:
    """When a rule fires and when it is over. Everything here can be set for a rule, or for one subject of it.

    for_seconds: how long it must be bad before it fires. keep_seconds: how long it must be good before it is
    resolved. repeat_seconds: a critical one that lasts is told again after so long; 0: never.
    minimum: ended jobs below which a share says nothing.
    """

    fire: float
    clear: float
    severity: Severity = "warning"
    for_seconds: float = 60
    keep_seconds: float = 60
    repeat_seconds: float = 4 * 3600
    minimum: int = 0
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """A measured value. `detail`: what else a person should see; `made_from`: ended jobs behind a share."""

    subject: str
    value: float
    detail: str = ""
    made_from: int = 0


Measure = Callable[[Standing], Iterable[Reading]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `summary` is filled with subject, value, fire and detail; `advice` says what to do next."""

    name: str
    title: str
    summary: str
    advice: str
    unit: Unit
    #: What a subject is: a queue, a breaker, … - for the documentation.
    about: str
    limits: Limits
    measure: Measure

    def says(self, subject: str, value: float, fire: float, detail: str) -> str:
        """One line about a value."""
        return self.summary.format(
            subject=subject,
            value=written(value, self.unit),
            fire=written(fire, self.unit),
            detail=detail or "no detail",
        )


def written(value: float, unit: Unit) -> str:
    """A value as people read it."""
    match unit:
        case "share":
            return f"{value * 100:.3g} %"
        case "seconds":
            return duration(value)
        case _:
            return f"{value:,.0f}"


def duration(seconds: float) -> str:
    """Seconds with the two largest units: 0.8 s, 45 s, 5 min 3 s, 2 h 10 min, 3 d 4 h."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    left = round(seconds)
    parts: list[str] = []
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
        elif parts:
            break
    return " ".join(parts[:2])
