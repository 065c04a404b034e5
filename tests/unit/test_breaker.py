"""The decisions of a breaker, as a table of what it was, what was met, and what it is then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from corral.breaker import (
    LONGEST_PROBE_SECONDS,
    PROBE_LEASE_SECONDS,
    Breaker,
    Hold,
    Rules,
    Streak,
    another_failure,
    closed,
    hold_again,
    opened,
    probe_over,
    probing,
    read_hold,
    releasing,
    succeeded,
)

RULES = Rules(hold_seconds=3600, probe_seconds=10, rate=5, failures=3, window_seconds=60)
CLOSED = Breaker("onfido")


def an_open(**more: Any) -> Breaker:
    breaker = opened(CLOSED, "configuration", "the key is wrong", "kyc:1", 100.0, RULES)
    assert breaker is not None
    return replace(breaker, **more)


HALF_OPEN = an_open(probe="kyc:2", probe_until=200.0)


def test_a_wrong_key_opens_it_and_says_when_it_is_tried() -> None:
    breaker = an_open()
    assert (breaker.state, breaker.opening, breaker.since) == ("open", 1, 100.0)
    assert (breaker.reason, breaker.job, breaker.next_probe) == ("the key is wrong", "kyc:1", 110.0)


def test_who_meets_it_open_changes_nothing() -> None:
    assert opened(an_open(), "configuration", "again", "kyc:3", 105.0, RULES) is None
    assert opened(HALF_OPEN, "configuration", "again", "kyc:3", 105.0, RULES) is None


def test_an_opening_after_a_closing_is_another_one() -> None:
    after = closed(an_open(failed_probes=4), 150.0, 5)
    assert after is not None
    assert (after.state, after.since) == ("closed", 150.0)
    again = opened(after, "failures", "no answer", "kyc:9", 160.0, RULES)
    assert again is not None
    assert (again.opening, again.failed_probes, again.cause) == (2, 0, "failures")


@pytest.mark.parametrize(
    ("breaker", "held", "now"),
    [
        (an_open(), 5, 109.9),
        (an_open(), 0, 110.0),
        (HALF_OPEN, 5, 110.0),
        (an_open(cause="operator"), 5, 110.0),
        (CLOSED, 5, 110.0),
    ],
    ids=["too early", "nothing is held", "one is under way", "an operator's", "closed"],
)
def test_no_probe_is_sent(breaker: Breaker, held: int, now: float) -> None:
    assert probing(breaker, held, now) is None


def test_a_probe_has_its_time() -> None:
    after = probing(an_open(), 1, 110.0)
    assert after is not None
    assert after.probe_until == 110.0 + PROBE_LEASE_SECONDS
    assert after.version == an_open().version + 1


def test_the_wait_for_the_next_probe_doubles_up_to_a_limit() -> None:
    breaker, waits = an_open(), []
    for _ in range(30):
        after = probe_over(replace(breaker, probe="kyc:2"), 200.0, RULES)
        assert after is not None
        breaker = after
        waits.append(breaker.next_probe - 200.0)
    assert waits[:4] == [20.0, 40.0, 80.0, 160.0]
    assert waits[-1] == LONGEST_PROBE_SECONDS
    assert Rules(probe_seconds=900).until_probe(3) == 900


def test_the_probe_itself_puts_it_back_to_open() -> None:
    after = opened(HALF_OPEN, "configuration", "still wrong", "kyc:2", 115.0, RULES)
    assert after is not None
    assert (after.state, after.failed_probes, after.since) == ("open", 1, 100.0)


def test_only_an_answer_to_this_opening_closes_it() -> None:
    assert succeeded(HALF_OPEN, 0, 120.0, RULES) is None
    after = succeeded(HALF_OPEN, 1, 120.0, RULES)
    assert after is not None
    assert (after.state, after.rate, after.probe) == ("closed", 5, "")
    # A probe that took longer than its time is as good a witness.
    assert succeeded(an_open(), 1, 500.0, RULES) is not None


def test_an_operator_has_the_last_word() -> None:
    taken = opened(HALF_OPEN, "operator", "we move house", "", 120.0, RULES)
    assert taken is not None
    assert (taken.cause, taken.reason, taken.opening, taken.probe) == ("operator", "we move house", 1, "")
    assert succeeded(taken, 1, 130.0, RULES) is None
    assert closed(taken, 130.0, 5) is not None


@pytest.mark.parametrize(
    ("rate", "waited", "held", "count"),
    [(5, 1.0, 100, 5), (5, 0.1, 100, 0), (0.5, 1.9, 100, 0), (0.5, 2.0, 100, 1), (5, 1.0, 3, 3),
     (1000, 5.0, 2000, 500), (5, 3600.0, 1000, 25), (0.01, 100.0, 5, 1)],
)  # fmt: skip
def test_held_jobs_go_at_the_pace(rate: float, waited: float, held: int, count: int) -> None:
    breaker = replace(CLOSED, rate=rate, released_at=100.0)
    going = releasing(breaker, held, 100.0 + waited)
    assert (going[1] if going else 0) == count
    if going:
        assert going[0].released_at == 100.0 + waited


def test_an_open_one_lets_nothing_go() -> None:
    assert releasing(an_open(), 10, 1000.0) is None


def test_a_closed_one_takes_another_pace() -> None:
    after = closed(replace(CLOSED, since=50.0), 100.0, 2)
    assert after is not None
    assert (after.rate, after.since) == (2, 50.0)
    assert closed(CLOSED, 100.0, CLOSED.rate) is None


def test_a_hold_goes_on_under_the_same_opening_and_starts_anew_under_another() -> None:
    first = hold_again(None, "onfido", 3, 100.0)
    assert hold_again(first, "onfido", 3, 150.0) == first
    assert hold_again(first, "onfido", 4, 150.0).since == 150.0
    assert hold_again(first, "idenfy", 3, 150.0).since == 150.0
    assert first.left(100.0 + 3600, RULES) == 0


def test_a_hold_is_read_as_it_was_written() -> None:
    hold = Hold("supabase-storage", 12, 1_750_000_000.123)
    assert read_hold(hold.field().encode()) == hold
    assert read_hold((hold.field() + " probe").encode()) == replace(hold, mark="probe")


@pytest.mark.parametrize("field", [None, b"", b"onfido", b"onfido x 7", b"onfido 1 \xff"])
def test_what_is_no_hold_is_none(field: bytes | None) -> None:
    assert read_hold(field) is None


def test_failures_count_within_the_window() -> None:
    streak = another_failure(None, 0.0, RULES)
    streak = another_failure(streak, 60.0, RULES)
    assert streak == Streak(0.0, 2)
    assert another_failure(streak, 60.1, RULES) == Streak(60.1, 1)
