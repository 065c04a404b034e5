"""Alerts: how they stand, the rules, the history, silences, acknowledgements, and a test of the channels."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.manage.service import Actor, Management, asks_for
from corral.observe.alerts.desk import Alerts
from corral.observe.alerts.silence import ANY

T = TypeVar("T")


class AcknowledgedRow(msgspec.Struct, frozen=True, rename="camel"):
    """Who has an alert in hand, since when (epoch seconds), and a note, or ""."""

    by: str
    at: float
    note: str


class AlertRow(msgspec.Struct, frozen=True, rename="camel"):
    """One alert that is pending or fires. Times are epoch seconds; null where there is none yet."""

    rule: str
    subject: str
    #: pending or firing.
    state: str
    severity: str
    title: str
    summary: str
    advice: str
    value: float
    fire: float
    since: float
    fired_at: float | None
    told_at: float | None
    silenced: bool
    #: null: nobody has it in hand.
    acknowledged: AcknowledgedRow | None


class ChannelRow(msgspec.Struct, frozen=True, rename="camel"):
    """How sending to a channel went. `waiting`: notices that are still to be sent."""

    name: str
    sent: int
    given_up: int
    waiting: int
    sent_at: float | None
    failed_at: float | None
    error: str


class SilenceRow(msgspec.Struct, frozen=True, rename="camel"):
    """Nothing is told of this rule and subject ("*": of all) until `until`, epoch seconds."""

    id: str
    rule: str
    subject: str
    until: float
    reason: str
    by: str
    at: float


class AlertsNow(msgspec.Struct, frozen=True, rename="camel"):
    """`evaluatedAt`: the last look, null if there was none. `leader`: the process that looks, "" if none."""

    evaluated_at: float | None
    leader: str
    alerts: list[AlertRow]
    channels: list[ChannelRow]
    silences: list[SilenceRow]


class LimitsRow(msgspec.Struct, frozen=True, rename="camel"):
    """When a rule fires and when it is over; seconds."""

    fire: float
    clear: float
    severity: str
    for_seconds: float
    keep_seconds: float
    repeat_seconds: float
    minimum: int
    enabled: bool


class RuleRow(msgspec.Struct, frozen=True, rename="camel"):
    """A rule with the limits of this process; `only`: those of single subjects."""

    name: str
    title: str
    about: str
    unit: str
    summary: str
    advice: str
    limits: LimitsRow
    only: dict[str, LimitsRow]


class EventRow(msgspec.Struct, frozen=True, rename="camel"):
    """`kind`: fired or resolved; `seconds`: how long it fired, for the latter."""

    at: float
    kind: str
    rule: str
    subject: str
    severity: str
    value: float
    summary: str
    silenced: bool
    seconds: float | None


class SilenceRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to be silent about; `rule` and `subject` may be "*"."""

    rule: str
    seconds: float
    reason: str
    subject: str = ANY


class AcknowledgeRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which alert somebody has in hand, and what others should know of it."""

    rule: str
    subject: str
    note: str = ""


class TriedRow(msgspec.Struct, frozen=True, rename="camel"):
    """What became of a test; `error` is empty if the channel took it."""

    channel: str
    error: str
    seconds: float


@get("/alerts", guards=[asks_for(Permission.WATCH)], tags=["alerts"])
async def read_alerts(management: NamedDependency[Management]) -> AlertsNow:
    """What is pending or fires, how the channels are, and the silences. Two round trips."""
    async with answering():
        state = await _alerts(management).state()
    return _converted(state, AlertsNow)


@get("/alerts/rules", guards=[asks_for(Permission.WATCH)], tags=["alerts"])
async def read_alert_rules(management: NamedDependency[Management]) -> list[RuleRow]:
    """All rules with their limits. No round trip."""
    return [
        RuleRow(
            name=used.rule.name,
            title=used.rule.title,
            about=used.rule.about,
            unit=used.rule.unit,
            summary=used.rule.summary,
            advice=used.rule.advice,
            limits=_converted(used.limits, LimitsRow),
            only={subject: _converted(limits, LimitsRow) for subject, limits in used.only.items()},
        )
        for used in _alerts(management).rules()
    ]


@get("/alerts/history", guards=[asks_for(Permission.WATCH)], tags=["alerts"])
async def read_alert_history(
    management: NamedDependency[Management],
    count: Annotated[int, QueryParameter(ge=1, le=1_000)] = 100,
) -> list[EventRow]:
    """What fired and what was resolved, newest first. One round trip."""
    async with answering():
        events = await _alerts(management).history(count)
    return [_converted(event, EventRow) for event in events]


@post("/alerts/silences", guards=[asks_for(Permission.OPERATE)], tags=["alerts"])
async def add_silence(
    management: NamedDependency[Management], actor: NamedDependency[Actor], data: JSONBody[SilenceRequest]
) -> SilenceRow:
    """Tell nothing of a rule and subject for so long. Replaces a silence of the same. Three round trips."""
    async with answering():
        made = await _alerts(management).silence(
            data.rule, data.subject, seconds=data.seconds, reason=data.reason, actor=actor.name
        )
    return _converted(made, SilenceRow)


@delete("/alerts/silences", guards=[asks_for(Permission.OPERATE)], tags=["alerts"])
async def remove_silence(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    rule: FromQuery[str],
    subject: FromQuery[str] = ANY,
) -> None:
    """End a silence. Two round trips."""
    async with answering():
        await _alerts(management).unsilence(rule, subject, actor=actor.name)


@post("/alerts/acknowledgements", guards=[asks_for(Permission.OPERATE)], tags=["alerts"])
async def acknowledge_alert(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    data: JSONBody[AcknowledgeRequest],
) -> AcknowledgedRow:
    """Have a firing alert in hand: until it is resolved it is told of no more. 422 if it does not fire. Four
    round trips.
    """
    async with answering():
        made = await _alerts(management).acknowledge(
            data.rule, data.subject, note=data.note, actor=actor.name
        )
    return _converted(made, AcknowledgedRow)


@delete("/alerts/acknowledgements", guards=[asks_for(Permission.OPERATE)], tags=["alerts"])
async def unacknowledge_alert(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    rule: FromQuery[str],
    subject: FromQuery[str],
) -> None:
    """Take an acknowledgement back: the alert is told of again. 422 if there is none. Three round trips."""
    async with answering():
        await _alerts(management).unacknowledge(rule, subject, actor=actor.name)


@post("/alerts/test", guards=[asks_for(Permission.OPERATE)], tags=["alerts"], status_code=200)
async def test_alerts(
    management: NamedDependency[Management], actor: NamedDependency[Actor]
) -> list[TriedRow]:
    """Send a test to each channel of this process, and say what each answered. Up to 20 s."""
    tried = await _alerts(management).test(actor=actor.name)
    return [_converted(one, TriedRow) for one in tried]


ALERT_HANDLERS: list[Any] = [
    read_alerts,
    read_alert_rules,
    read_alert_history,
    add_silence,
    remove_silence,
    acknowledge_alert,
    unacknowledge_alert,
    test_alerts,
]


def _alerts(management: Management) -> Alerts:
    return Alerts(settings=management.settings)


def _converted(value: Any, row: type[T]) -> T:
    return msgspec.convert(value, row, from_attributes=True)
