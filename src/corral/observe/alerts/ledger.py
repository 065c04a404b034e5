"""What the evaluator remembers from look to look, and what is still to be sent. Pure.

One document in Redis, written only by the leader, so it is always whole. A notice becomes one parcel for each
channel in the same write that makes its alert fire: neither is ever there without the other.
A parcel is marked as taken before it is sent. What a process that died had taken is sent again by another;
who only lost the lease cannot mark, and so does not send.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from corral.observe.alerts.machine import Alert, Step
from corral.observe.alerts.notice import Notice

#: Seconds before the 2nd, 3rd, … try of a channel that failed. After the last a parcel is given up.
TRY_WAITS = (2.0, 10.0, 60.0, 300.0)

#: Seconds that a channel's own wish to wait is followed.
LONGEST_WAIT = 300.0

#: Seconds after which a parcel that was taken is anybody's again. Longer than a send may take.
TAKEN_SECONDS = 30.0

#: Parcels kept: a channel that is away for long costs memory no further. The oldest go first.
MOST_PARCELS = 1_000


TOO_MANY = "too many messages wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A notice on its way to one channel. `next_at`: not before, epoch seconds by the server's clock."""

    channel: str
    notice: Notice
    tries: int = 0
    next_at: float = 0.0

    @property
    def id(self) -> str:
        return f"{self.channel}:{self.notice.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelHealth:
    """How sending went. Times are epoch seconds; `error` is the last one's reason, without secrets."""

    sent: int = 0
    given_up: int = 0
    sent_at: float | None = None
    failed_at: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one try ended. `error` empty: it was taken. `again`: another try can help. `after`: seconds."""

    error: str = ""
    again: bool = True
    after: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Everything remembered. `at`: the last look, epoch seconds by the server's clock."""

    at: float | None = None
    alerts: tuple[Alert, ...] = ()
    parcels: tuple[Parcel, ...] = ()
    channels: Mapping[str, ChannelHealth] = field(default_factory=dict)


def looked(ledger: Ledger, result: Step, channels: Iterable[str], now: float) -> Ledger:
    """After a look: its alerts, and a parcel for each channel and notice."""
    new = (Parcel(channel=name, notice=notice) for notice in result.notices for name in channels)
    parcels = (*ledger.parcels, *new)
    health = dict(ledger.channels)
    for dropped in parcels[:-MOST_PARCELS]:
        was = health.get(dropped.channel, ChannelHealth())
        health[dropped.channel] = replace(was, given_up=was.given_up + 1, failed_at=now, error=TOO_MANY)
    return replace(ledger, at=now, alerts=result.alerts, parcels=parcels[-MOST_PARCELS:], channels=health)


def due(ledger: Ledger, channels: Collection[str], now: float) -> list[Parcel]:
    """What can be sent now: of each channel and group the oldest, so no end comes before its beginning."""
    first: dict[tuple[str, str], Parcel] = {}
    for parcel in ledger.parcels:
        first.setdefault((parcel.channel, parcel.notice.group), parcel)
    return [parcel for parcel in first.values() if parcel.channel in channels and parcel.next_at <= now]


def taken(ledger: Ledger, ids: Collection[str], now: float) -> Ledger:
    """These are about to be sent."""
    parcels = tuple(
        replace(parcel, tries=parcel.tries + 1, next_at=now + TAKEN_SECONDS) if parcel.id in ids else parcel
        for parcel in ledger.parcels
    )
    return replace(ledger, parcels=parcels)


def settled(ledger: Ledger, parcel_id: str, outcome: Outcome, now: float) -> tuple[Ledger, bool]:
    """After a try. The second value: it was given up."""
    parcel = next((one for one in ledger.parcels if one.id == parcel_id), None)
    if parcel is None:
        return ledger, False
    failed = bool(outcome.error)
    last = failed and (not outcome.again or parcel.tries > len(TRY_WAITS))
    if failed and not last:
        wait = max(TRY_WAITS[max(0, parcel.tries - 1)], min(outcome.after, LONGEST_WAIT))
        stays = tuple(
            replace(one, next_at=now + wait) if one.id == parcel_id else one for one in ledger.parcels
        )
    else:
        stays = tuple(one for one in ledger.parcels if one.id != parcel_id)
    was = ledger.channels.get(parcel.channel, ChannelHealth())
    health = (
        replace(was, failed_at=now, error=outcome.error, given_up=was.given_up + last)
        if failed
        else replace(was, sent=was.sent + 1, sent_at=now)
    )
    return replace(ledger, parcels=stays, channels={**ledger.channels, parcel.channel: health}), last


def without_strangers(ledger: Ledger, channels: Collection[str]) -> Ledger:
    """Without what is for channels that are no longer configured."""
    return replace(
        ledger,
        parcels=tuple(parcel for parcel in ledger.parcels if parcel.channel in channels),
        channels={name: health for name, health in ledger.channels.items() if name in channels},
    )
