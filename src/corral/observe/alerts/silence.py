"""Silences: of which alerts nothing is told, and until when. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from corral.errors import InvalidInput
from corral.observe.alerts.rules import rule_named

#: Of every rule, or every subject.
ANY = "*"

#: Seconds; a silence that should be longer is a rule to switch off.
LONGEST_SECONDS = 30 * 86_400.0

_LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Until `until` (epoch seconds by the server's clock), nothing is told of this rule and subject."""

    rule: str
    subject: str
    until: float
    reason: str
    by: str
    at: float

    @property
    def id(self) -> str:
        return f"{self.rule}:{self.subject}"


def silence(rule: str, subject: str, seconds: float, reason: str, *, by: str, now: float) -> Silence:
    """A silence from now on. Raises InvalidInput for an unknown rule, no reason, or a length that is none."""
    if rule != ANY:
        rule_named(rule)
    if not 0 < seconds <= LONGEST_SECONDS:
        raise InvalidInput(
            f"A silence lasts more than 0 and at most {LONGEST_SECONDS:,.0f} seconds (30 days)."
        )
    tidy = " ".join(reason.split())[:_LONGEST_TEXT]
    if not tidy:
        raise InvalidInput("Say why: the reason is what others see of the silence.")
    subject = subject.strip()[:_LONGEST_TEXT] or ANY
    return Silence(rule=rule, subject=subject, until=now + seconds, reason=tidy, by=by, at=now)


def is_silenced(silences: Iterable[Silence], rule: str, subject: str, now: float) -> bool:
    """Whether nothing is told of this rule and subject now."""
    return any(
        one.until > now and one.rule in (ANY, rule) and one.subject in (ANY, subject) for one in silences
    )
