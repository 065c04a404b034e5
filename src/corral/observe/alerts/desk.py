"""The alerts as operators see and change them: what fires, the rules, the history, silences, who has
what in hand, a test.

All are of one server and prefix. Every change is in the audit log. Nobody needs this for alerts to work.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from corral import audit
from corral.bullmq import alerting
from corral.bullmq.connection import Address, shared_client
from corral.bullmq.failures import as_corral_error
from corral.errors import InvalidInput
from corral.observe.alerts.acknowledging import Acknowledgement, acknowledged, acknowledgement
from corral.observe.alerts.channels.chosen import chosen_channels
from corral.observe.alerts.ledger import ChannelHealth, Ledger
from corral.observe.alerts.machine import Alert, Event
from corral.observe.alerts.notice import one_line, trial_notice
from corral.observe.alerts.rule import Limits, Rule
from corral.observe.alerts.rulebook import RuleBook, load_rules
from corral.observe.alerts.rules import RULES
from corral.observe.alerts.sending import attempt
from corral.observe.alerts.silence import ANY, Silence, is_silenced, silence
from corral.observe.alerts.storing import encoded, read_acknowledged, read_events, read_ledger, read_silences
from corral.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """An alert that is pending or fires. Times are epoch seconds; `told_at` None: nobody was told;
    `acknowledged` None: nobody has it in hand.
    """

    rule: str
    subject: str
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
    acknowledged: Acknowledgement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelView:
    """How sending to a channel went. `waiting`: notices that are still to be sent."""

    name: str
    sent: int
    given_up: int
    waiting: int
    sent_at: float | None
    failed_at: float | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertState:
    """How the alerts stand. `leader`: host, pid and a mark of the process that evaluates, "" if none does.

    evaluated_at: the last look, epoch seconds by the server's clock; None: there was none.
    """

    evaluated_at: float | None
    leader: str
    alerts: tuple[AlertView, ...]
    channels: tuple[ChannelView, ...]
    silences: tuple[Silence, ...]


@dataclass(frozen=True, slots=True)
class RuleInUse:
    """A rule with the limits that hold; `only`: those of single subjects."""

    rule: Rule
    limits: Limits
    only: dict[str, Limits]


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a test. `error` empty: the channel took it."""

    channel: str
    error: str
    seconds: float


class Alerts:
    """The alerts of a server and prefix, by these settings; default the environment's.

    Every method that asks Redis raises RedisUnavailable.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings.load()

    async def state(self) -> AlertState:
        """What is pending or fires, channels, silences. Two round trips. Raises ConfigurationError."""
        book = load_rules(self._settings.alert_rules)
        with self._redis_errors():
            stored = await alerting.read(self._client, self.prefix)
            now, rows = await alerting.silences(self._client, self.prefix)
        ledger, silences = read_ledger(stored.state), tuple(read_silences(rows))
        in_hand = read_acknowledged(stored.acknowledged)
        return AlertState(
            evaluated_at=ledger.at,
            leader=stored.leader,
            alerts=tuple(_alert(alert, book, silences, in_hand, now) for alert in ledger.alerts),
            channels=tuple(_channel(name, ledger) for name in sorted(_channel_names(ledger))),
            silences=silences,
        )

    async def history(self, count: int = 100) -> list[Event]:
        """What fired and was resolved, newest first. One round trip. Raises InvalidInput."""
        if not 1 <= count <= alerting.MOST_EVENTS:
            raise InvalidInput(f"count={count}: ask for 1 to {alerting.MOST_EVENTS} entries.")
        with self._redis_errors():
            return read_events(await alerting.history(self._client, self.prefix, count))

    def rules(self) -> list[RuleInUse]:
        """All rules. Raises ConfigurationError. No round trip."""
        book = load_rules(self._settings.alert_rules)
        return [
            RuleInUse(
                rule,
                book.limits(rule),
                {subject: limits for subject, limits in book.changed.get(rule.name, {}).items() if subject},
            )
            for rule in RULES.values()
        ]

    async def silence(
        self, rule: str, subject: str = ANY, *, seconds: float, reason: str, actor: str
    ) -> Silence:
        """Tell nothing of a rule and subject ("*": of all) for so long. Three round trips.

        A silence of the same rule and subject is replaced. Raises InvalidInput.
        """
        with self._redis_errors():
            now, _ = await alerting.silences(self._client, self.prefix)
            made = silence(rule, subject, seconds, reason, by=actor, now=now)
            await alerting.put_silence(self._client, self.prefix, made.id, encoded(made))
            facts = {"seconds": seconds, "reason": made.reason}
            await audit.record(self._client, self.prefix, actor, "alert.silence", made.id, facts)
        return made

    async def unsilence(self, rule: str, subject: str = ANY, *, actor: str) -> None:
        """End a silence. Two round trips. Raises InvalidInput if there is none."""
        silence_id = f"{rule}:{subject}"
        with self._redis_errors():
            if not await alerting.drop_silence(self._client, self.prefix, silence_id):
                raise InvalidInput(f"There is no silence {silence_id[:120]!r}.")
            await audit.record(self._client, self.prefix, actor, "alert.unsilence", silence_id)

    async def acknowledge(self, rule: str, subject: str, *, note: str = "", actor: str) -> Acknowledgement:
        """Somebody has what fires in hand: nothing is told of it but its end. Four round trips.

        It holds until the alert is resolved; one of somebody else is replaced. Raises InvalidInput if it does
        not fire.
        """
        with self._redis_errors():
            stored = await alerting.read(self._client, self.prefix)
            firing = {one.group: one for one in read_ledger(stored.state).alerts if one.state == "firing"}
            alert = firing.get(f"{rule}:{subject}")
            if alert is None or alert.fired_at is None:
                raise InvalidInput(
                    f"{rule[:120]!r} of {subject[:120]!r} does not fire: there is nothing to acknowledge."
                )
            now, _ = await alerting.silences(self._client, self.prefix)
            made = acknowledgement(rule, subject, alert.fired_at, note, by=actor, now=now)
            over = [one.id for one in read_acknowledged(stored.acknowledged) if one.id not in firing]
            await alerting.put_acknowledgement(self._client, self.prefix, made.id, encoded(made), over)
            facts = {"note": made.note} if made.note else None
            await audit.record(self._client, self.prefix, actor, "alert.acknowledge", made.id, facts)
        return made

    async def unacknowledge(self, rule: str, subject: str, *, actor: str) -> None:
        """Nobody has it in hand any more: it is told of again. Three round trips. Raises InvalidInput if
        nobody had.
        """
        with self._redis_errors():
            stored = await alerting.read(self._client, self.prefix)
            known = read_acknowledged(stored.acknowledged)
            fires = [one for one in read_ledger(stored.state).alerts if one.group == f"{rule}:{subject}"]
            if not any(acknowledged(known, rule, subject, one.fired_at) for one in fires):
                raise InvalidInput(f"{rule[:120]!r} of {subject[:120]!r} is not acknowledged.")
            await alerting.drop_acknowledgement(self._client, self.prefix, f"{rule}:{subject}")
            await audit.record(self._client, self.prefix, actor, "alert.unacknowledge", f"{rule}:{subject}")

    async def test(self, *, actor: str) -> list[Tried]:
        """Send a test to every channel of this process's settings. Raises ConfigurationError.

        Channels are asked at once, each once, within its time limit. It is recorded, if Redis answers: the
        channels can be tested without it.
        """
        channels = chosen_channels(self._settings)
        notice = trial_notice(time.time(), socket.gethostname())

        async def tried(number: int) -> Tried:
            started = time.monotonic()
            outcome = await attempt(channels[number], notice)
            return Tried(channels[number].name, outcome.error, round(time.monotonic() - started, 3))

        try:
            results = await asyncio.gather(*(tried(number) for number in range(len(channels))))
        finally:
            for channel in channels:
                await channel.close()
        facts = {"failed": [one.channel for one in results if one.error]}
        targets = ",".join(one.channel for one in results)
        with contextlib.suppress(RedisError, OSError):
            await audit.record(self._client, self.prefix, actor, "alert.test", targets, facts)
        return results

    @property
    def prefix(self) -> str:
        return self._settings.prefix

    @property
    def _client(self) -> aioredis.Redis:
        return shared_client(Address.resolve(settings=self._settings))

    @contextlib.contextmanager
    def _redis_errors(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            raise as_corral_error(error, "the alerts") from error


def _alert(
    alert: Alert,
    book: RuleBook,
    silences: tuple[Silence, ...],
    in_hand: list[Acknowledgement],
    now: float,
) -> AlertView:
    rule = RULES.get(alert.rule)  # None: of another version of Corral
    limits = book.limits(rule, alert.subject) if rule else Limits(0, 0)
    return AlertView(
        rule=alert.rule,
        subject=alert.subject,
        state=alert.state,
        severity=limits.severity,
        title=rule.title if rule else alert.rule,
        summary=one_line(rule.says(alert.subject, alert.value, limits.fire, alert.detail)) if rule else "",
        advice=one_line(rule.advice.format(subject=alert.subject)) if rule else "",
        value=alert.value,
        fire=limits.fire,
        since=alert.since,
        fired_at=alert.fired_at,
        told_at=alert.told_at,
        silenced=is_silenced(silences, alert.rule, alert.subject, now),
        acknowledged=acknowledged(in_hand, alert.rule, alert.subject, alert.fired_at),
    )


def _channel_names(ledger: Ledger) -> set[str]:
    return {*ledger.channels, *(parcel.channel for parcel in ledger.parcels)}


def _channel(name: str, ledger: Ledger) -> ChannelView:
    health = ledger.channels.get(name, ChannelHealth())
    return ChannelView(
        name=name,
        sent=health.sent,
        given_up=health.given_up,
        waiting=sum(parcel.channel == name for parcel in ledger.parcels),
        sent_at=health.sent_at,
        failed_at=health.failed_at,
        error=health.error,
    )
