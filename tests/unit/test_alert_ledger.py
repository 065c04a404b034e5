"""What is remembered and still to be sent: order, tries, bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from corral.observe.alerts import ledger as ledgers
from corral.observe.alerts.ledger import (
    LONGEST_WAIT,
    TAKEN_SECONDS,
    TRY_WAITS,
    Ledger,
    Outcome,
    due,
    looked,
    settled,
    taken,
    without_strangers,
)
from corral.observe.alerts.machine import Step
from corral.observe.alerts.notice import Notice, trial_notice

T0 = 1_700_000_000.0
CHANNELS = ("slack", "mail")


def notice(subject: str, at: float = 0, kind: Any = "fired") -> Notice:
    return replace(trial_notice(T0 + at, subject), kind=kind)


def with_notices(*notices: Notice, channels: tuple[str, ...] = CHANNELS) -> Ledger:
    return looked(Ledger(), Step((), notices, ()), channels, T0)


def test_each_channel_gets_its_own_parcel() -> None:
    ledger = with_notices(notice("a"), notice("b"))
    assert [(p.channel, p.notice.subject) for p in due(ledger, CHANNELS, T0)] == [
        ("slack", "a"), ("mail", "a"), ("slack", "b"), ("mail", "b"),
    ]  # fmt: skip


def test_of_a_group_the_oldest_goes_first_in_each_channel() -> None:
    ledger = with_notices(notice("a"), notice("b"), notice("a", 60, "resolved"), channels=("slack",))
    first = due(ledger, CHANNELS, T0)
    assert [(p.notice.subject, p.notice.kind) for p in first] == [("a", "fired"), ("b", "fired")]
    ledger, _ = settled(ledger, first[0].id, Outcome(), T0)
    assert [(p.notice.subject, p.notice.kind) for p in due(ledger, CHANNELS, T0)] == [
        ("b", "fired"),
        ("a", "resolved"),
    ]


def test_what_is_taken_is_nobody_elses_for_a_while() -> None:
    ledger = with_notices(notice("a"), channels=("slack",))
    (parcel,) = due(ledger, CHANNELS, T0)
    ledger = taken(ledger, {parcel.id}, T0)
    assert due(ledger, CHANNELS, T0 + TAKEN_SECONDS - 1) == []
    assert [p.tries for p in due(ledger, CHANNELS, T0 + TAKEN_SECONDS)] == [1]


def test_it_is_tried_again_after_longer_and_longer_waits_and_then_given_up() -> None:
    ledger, now, waits = with_notices(notice("a"), channels=("slack",)), T0, []
    for _ in range(len(TRY_WAITS)):
        (parcel,) = due(ledger, CHANNELS, now)
        ledger, gave_up = settled(taken(ledger, {parcel.id}, now), parcel.id, Outcome("no"), now)
        assert not gave_up
        waits.append(ledger.parcels[0].next_at - now)
        now = ledger.parcels[0].next_at
    assert waits == list(TRY_WAITS)
    (parcel,) = due(ledger, CHANNELS, now)
    ledger, gave_up = settled(taken(ledger, {parcel.id}, now), parcel.id, Outcome("no"), now)
    assert gave_up
    assert ledger.parcels == ()
    health = ledger.channels["slack"]
    assert (health.sent, health.given_up, health.error, health.failed_at) == (0, 1, "no", now)


@pytest.mark.parametrize(("asked", "waited"), [(0, 2), (7, 7), (100_000, LONGEST_WAIT)])
def test_a_channels_wish_to_wait_is_followed_to_a_bound(asked: float, waited: float) -> None:
    ledger = with_notices(notice("a"), channels=("slack",))
    (parcel,) = due(ledger, CHANNELS, T0)
    ledger, _ = settled(taken(ledger, {parcel.id}, T0), parcel.id, Outcome("busy", after=asked), T0)
    assert ledger.parcels[0].next_at - T0 == waited


def test_a_refusal_is_not_repeated() -> None:
    ledger = with_notices(notice("a"), channels=("slack",))
    (parcel,) = due(ledger, CHANNELS, T0)
    ledger, gave_up = settled(ledger, parcel.id, Outcome("HTTP 400", again=False), T0)
    assert gave_up
    assert ledger.parcels == ()


def test_an_answer_for_what_is_no_more_changes_nothing() -> None:
    ledger = with_notices(notice("a"))
    assert settled(ledger, "nobody:knows", Outcome("no"), T0) == (ledger, False)


def test_no_more_wait_than_the_bound_and_what_is_dropped_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "MOST_PARCELS", 3)
    ledger = with_notices(*(notice(str(number)) for number in range(5)), channels=("slack",))
    assert [parcel.notice.subject for parcel in ledger.parcels] == ["2", "3", "4"]
    assert (ledger.channels["slack"].given_up, ledger.channels["slack"].error) == (2, ledgers.TOO_MANY)


def test_channels_that_are_no_more_leave_nothing() -> None:
    ledger = with_notices(notice("a"))
    ledger, _ = settled(ledger, ledger.parcels[0].id, Outcome(), T0)
    left = without_strangers(ledger, {"mail"})
    assert [parcel.channel for parcel in left.parcels] == ["mail"]
    assert left.channels == {}
