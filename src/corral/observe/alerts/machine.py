"""From one look to the next: which alerts are pending, fire, and are over, and what is told of it. Pure.

    inactive → pending (bad for less than `for`) → firing → resolved (good for `keep`)

Guarantees: one group (rule and subject) fires once until it is resolved; between firing and its end there are
at least `keep` seconds, between an end and the next firing at least `for`. A value between `clear` and `fire`
keeps a firing alert and starts none. A subject that is gone is well. The order of readings does not matter.
What is told of a group is fired, then maybe still, then resolved; under a silence nothing new is told, and
what lasts longer than the silence is told at its end. A resolve is told of what was told before, silence or
not: an incident must not stay open elsewhere. The history has it all. While somebody has it in hand (it was
acknowledged) it is told of no more but its end; if that is taken back, it is told as if it had not been.
Limits: after a pause of the evaluator (GAP_SECONDS) durations count anew: nobody knows what was in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from corral.observe.alerts.acknowledging import Acknowledgement, acknowledged
from corral.observe.alerts.notice import Notice, notice_of
from corral.observe.alerts.rule import Limits, Reading, Rule
from corral.observe.alerts.rulebook import RuleBook
from corral.observe.alerts.rules import RULES
from corral.observe.alerts.silence import Silence, is_silenced
from corral.observe.standing import Standing

#: A look that comes later than this after the last one begins its durations anew.
GAP_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One group that is not well. Times are epoch seconds by the server's clock."""

    rule: str
    subject: str
    state: Literal["pending", "firing"]
    value: float
    detail: str = ""
    #: Since when it is bad without a break, or was when it fired.
    since: float
    fired_at: float | None = None
    #: Since when it is good again without a break.
    good_since: float | None = None
    #: When it was last told; None: it was not (silenced).
    told_at: float | None = None

    @property
    def group(self) -> str:
        return f"{self.rule}:{self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An entry of the history. `seconds`: how long it fired, for the end."""

    at: float
    kind: Literal["fired", "resolved"]
    rule: str
    subject: str
    severity: str
    value: float
    summary: str
    silenced: bool = False
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one look leads to."""

    alerts: tuple[Alert, ...]
    notices: tuple[Notice, ...]
    events: tuple[Event, ...]


def read_all(standing: Standing, book: RuleBook) -> dict[str, tuple[Rule, Reading]]:
    """What every enabled rule measures, by group."""
    return {
        f"{rule.name}:{reading.subject}": (rule, reading)
        for rule in RULES.values()
        for reading in rule.measure(standing)
        if (limits := book.limits(rule, reading.subject)).enabled and reading.made_from >= limits.minimum
    }


def step(
    before: Iterable[Alert],
    found: Mapping[str, tuple[Rule, Reading]],
    book: RuleBook,
    silences: Sequence[Silence],
    *,
    now: float,
    last: float | None,
    in_hand: Sequence[Acknowledgement] = (),
) -> Step:
    """Judge what was measured. `last`: when the look before was; None: there was none. `in_hand`: what was
    acknowledged.
    """
    known = {alert.group: alert for alert in before}
    if last is None or now - last > GAP_SECONDS:
        known = {group: _anew(alert, now) for group, alert in known.items()}
    alerts: list[Alert] = []
    notices: list[Notice] = []
    events: list[Event] = []
    for group in sorted(known.keys() | found.keys()):
        rule, reading = found.get(group) or _gone(known[group])
        limits = book.limits(rule, reading.subject)
        silenced = is_silenced(silences, rule.name, reading.subject, now)
        was = known.get(group)
        alert = _judged(was, rule, reading, limits, now)
        if alert is not None and alert.state == "firing":
            if was is None or was.state != "firing":
                events.append(_event("fired", rule, limits, alert, now, silenced=silenced))
            known_of = acknowledged(in_hand, rule.name, reading.subject, alert.fired_at) is not None
            alert, notice = _told(alert, rule, limits, now, quiet=silenced or known_of)
            notices += [notice] if notice else []
        elif was is not None and was.state == "firing":
            events.append(_event("resolved", rule, limits, was, now, silenced=silenced))
            notices += [_notice("resolved", rule, limits, was, now)] if was.told_at is not None else []
        alerts += [alert] if alert else []
    return Step(tuple(alerts), tuple(notices), tuple(events))


def still_firing(alerts: Iterable[Alert], book: RuleBook, now: float) -> list[Notice]:
    """What was told and lasts, for channels that forget."""
    found = []
    for alert in alerts:
        if alert.state == "firing" and alert.told_at is not None:
            rule, _ = _gone(alert)
            found.append(_notice("still", rule, book.limits(rule, alert.subject), alert, now))
    return found


def _judged(was: Alert | None, rule: Rule, reading: Reading, limits: Limits, now: float) -> Alert | None:
    """The alert after this look; None: all is well."""
    bad, good = reading.value > limits.fire, reading.value <= limits.clear
    value = float(reading.value)
    if was is not None and was.state == "firing":
        if not good:
            return replace(was, value=value, detail=reading.detail, good_since=None)
        good_since = now if was.good_since is None else min(was.good_since, now)
        return None if now - good_since >= limits.keep_seconds else replace(was, good_since=good_since)
    if not bad:
        return None
    since = now if was is None else min(was.since, now)
    fires = now - since >= limits.for_seconds
    return Alert(
        rule=rule.name,
        subject=reading.subject,
        state="firing" if fires else "pending",
        value=value,
        detail=reading.detail,
        since=since,
        fired_at=now if fires else None,
    )


def _told(
    alert: Alert, rule: Rule, limits: Limits, now: float, *, quiet: bool
) -> tuple[Alert, Notice | None]:
    """Whether a firing alert is told now, for the first time or again. quiet: silenced, or in hand."""
    if quiet:
        return alert, None
    if alert.told_at is None:
        return replace(alert, told_at=now), _notice("fired", rule, limits, alert, now)
    repeats = limits.severity == "critical" and limits.repeat_seconds > 0
    if repeats and alert.good_since is None and now - alert.told_at >= limits.repeat_seconds:
        return replace(alert, told_at=now), _notice("still", rule, limits, alert, now)
    return alert, None


def _anew(alert: Alert, now: float) -> Alert:
    since = now if alert.state == "pending" else alert.since
    return replace(alert, since=since, good_since=None if alert.good_since is None else now)


def _gone(alert: Alert) -> tuple[Rule, Reading]:
    """A subject that nobody measures any more, or a rule that is switched off or of another version."""
    rule = RULES.get(alert.rule) or Rule(
        name=alert.rule,
        title=alert.rule,
        summary="{subject}",
        advice="",
        unit="count",
        about="",
        limits=Limits(0, 0, keep_seconds=0),
        measure=lambda _: (),
    )
    return rule, Reading(alert.subject, 0.0)


def _notice(
    kind: Literal["fired", "still", "resolved"], rule: Rule, limits: Limits, alert: Alert, now: float
) -> Notice:
    fired_at = now if alert.fired_at is None else alert.fired_at
    return notice_of(kind, rule, limits, alert.subject, alert.value, alert.detail, fired_at=fired_at, at=now)


def _event(
    kind: Literal["fired", "resolved"],
    rule: Rule,
    limits: Limits,
    alert: Alert,
    now: float,
    *,
    silenced: bool,
) -> Event:
    notice = _notice(kind, rule, limits, alert, now)
    return Event(
        at=now,
        kind=kind,
        rule=rule.name,
        subject=alert.subject,
        severity=limits.severity,
        value=alert.value,
        summary=notice.summary,
        silenced=silenced,
        seconds=round(now - notice.fired_at, 3) if kind == "resolved" else None,
    )
