"""What becomes of a job after its handler ended."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.bullmq.codec import JobOptions
from corral.errors import (
    AttemptTimeout,
    KilledItsWorker,
    RetryAfter,
    SignalTimeout,
    Snooze,
    UndecodableData,
    UnknownNameExpired,
    Unrecoverable,
)
from corral.policy import Keep, Retention, Retry
from corral.worker.outcome import (
    REASON_LIMIT,
    TRACE_LIMIT,
    Again,
    Dead,
    Plan,
    Unspent,
    decide,
    describe,
    plan,
)

PLAN = Plan(
    retry=Retry(attempts=3, delays=(10, 60)),
    timeout=None,
    completed=Keep(),
    failed=Keep(),
    keep_logs=None,
    lifo=False,
)


def planned(**retry: Any) -> Plan:
    return dataclasses.replace(PLAN, retry=Retry(**retry))


# A plan


def test_a_job_that_says_nothing_takes_its_queues_policy() -> None:
    retry, retention = Retry(attempts=7), Retention(completed=Keep(count=1), failed=Keep(count=2))
    made = plan(JobOptions(), retry, 12.5, retention)
    assert made == Plan(retry, 12.5, Keep(count=1), Keep(count=2), None, False)


def test_what_a_job_says_wins() -> None:
    own = JobOptions(Retry(attempts=1), 1.0, Keep(count=5), Keep(count=6), 9, True)
    made = plan(own, Retry(attempts=7), 12.5, Retention())
    assert made == Plan(Retry(attempts=1), 1.0, Keep(count=5), Keep(count=6), 9, True)


def test_a_job_can_ask_for_no_retention_bound_and_for_no_time() -> None:
    made = plan(JobOptions(timeout=0, completed=Keep(), failed=Keep()), Retry(), 5, Retention())
    assert (made.timeout, made.completed, made.failed) == (0, Keep(), Keep())


# Deciding


@pytest.mark.parametrize(("attempt", "wait"), [(1, 10), (2, 60)])
def test_a_failed_attempt_waits_as_its_policy_says(attempt: int, wait: float) -> None:
    outcome = decide(ValueError("boom"), PLAN, attempt)
    assert isinstance(outcome, Again)
    assert (outcome.wait, outcome.reason) == (wait, "boom")
    assert "ValueError: boom" in outcome.trace


@pytest.mark.parametrize("attempt", [3, 4, 100])
def test_the_last_attempt_goes_to_the_dead_letters(attempt: int) -> None:
    outcome = decide(ValueError("boom"), PLAN, attempt)
    assert isinstance(outcome, Dead)
    assert outcome.reason == "boom"


@pytest.mark.parametrize("attempt", range(1, 6))
def test_exponential_backoff_doubles(attempt: int) -> None:
    outcome = decide(OSError("x"), planned(attempts=9, backoff="exponential", delay=1.5), attempt)
    assert isinstance(outcome, Again)
    assert outcome.wait == 1.5 * 2 ** (attempt - 1)


@pytest.mark.parametrize(("rand", "wait"), [(0.0, 90), (0.5, 95), (1.0, 100)])
def test_jitter_shortens_by_its_share_at_most(rand: float, wait: float) -> None:
    outcome = decide(OSError("x"), planned(delays=(100,), jitter=0.1), 1, rand=lambda: rand)
    assert isinstance(outcome, Again)
    assert outcome.wait == pytest.approx(wait)


@pytest.mark.parametrize(
    "error",
    [Unrecoverable("no"), UndecodableData("no"), KilledItsWorker("no"), UnknownNameExpired("no")],
    ids=lambda error: type(error).__name__,
)
def test_what_cannot_help_to_repeat_is_dead_at_once(error: Unrecoverable) -> None:
    outcome = decide(error, PLAN, 1)
    assert isinstance(outcome, Dead)
    assert outcome.reason == "no"


@pytest.mark.parametrize("error", [AttemptTimeout("late"), SignalTimeout("late"), TimeoutError("late")])
def test_a_time_out_is_a_failed_attempt(error: Exception) -> None:
    assert isinstance(decide(error, PLAN, 1), Again)
    assert isinstance(decide(error, PLAN, 3), Dead)


@pytest.mark.parametrize(("asked", "wait"), [(5, 10), (10, 10), (900, 900), (-1, 10), (0, 10)])
def test_retry_after_waits_for_the_longer_of_both(asked: float, wait: float) -> None:
    outcome = decide(RetryAfter(asked, "busy"), PLAN, 1)
    assert isinstance(outcome, Again)
    assert outcome.wait == wait


def test_retry_after_spends_attempts() -> None:
    assert isinstance(decide(RetryAfter(5, "busy"), PLAN, 3), Dead)


@pytest.mark.parametrize("attempt", [1, 3, 99])
def test_snooze_never_spends_an_attempt(attempt: int) -> None:
    assert decide(Snooze(30), PLAN, attempt) == Unspent(30)


def test_a_negative_snooze_is_none_at_all() -> None:
    assert decide(Snooze(-5), PLAN, 1) == Unspent(0)


class Busy(RetryAfter):
    pass


class Held(Snooze):
    pass


def test_errors_of_providers_inherit_their_rule() -> None:
    assert decide(Held(60), PLAN, 3) == Unspent(60)
    outcome = decide(Busy(60), PLAN, 1)
    assert isinstance(outcome, Again)
    assert outcome.wait == 60


class Both(Unrecoverable, RetryAfter):
    pass


def test_unrecoverable_wins_over_retry_after() -> None:
    assert isinstance(decide(Both(5), PLAN, 1), Dead)


@pytest.mark.parametrize("seconds", [math.inf, 1e300, math.nan])
@pytest.mark.parametrize("kind", [Snooze, RetryAfter])
def test_a_senseless_wait_is_bounded(kind: type[Snooze | RetryAfter], seconds: float) -> None:
    """The wire carries whole milliseconds; infinity has none, and would break the worker that settles it."""
    outcome = decide(kind(seconds), PLAN, 1)
    assert not isinstance(outcome, Dead)
    assert 0 <= round(outcome.wait * 1000) < 2**53


# Describing


def test_a_reason_is_one_line() -> None:
    reason, trace = describe(ValueError("first line\n  second line\r\nthird"))
    assert reason.splitlines() == [reason]
    assert "first line" in reason
    assert "third" in reason
    assert "second line" in trace


@pytest.mark.parametrize("error", [ValueError(), ValueError(""), ValueError("  \n ")])
def test_an_error_without_words_is_named_by_its_type(error: Exception) -> None:
    assert describe(error)[0] == "ValueError"


def test_a_missing_key_is_called_one() -> None:
    assert describe(KeyError("2026-12"))[0] == "KeyError: '2026-12'"


def test_reasons_and_traces_are_bounded() -> None:
    def deep(levels: int) -> None:
        if levels:
            deep_elsewhere(levels - 1)
        raise ValueError("the end " + "x" * 50_000)

    def deep_elsewhere(levels: int) -> None:
        try:
            deep(levels)
        except ValueError as error:
            raise RuntimeError("again " + "y" * 5_000) from error

    with pytest.raises(RuntimeError) as caught:
        deep_elsewhere(5)
    reason, trace = describe(caught.value)
    assert len(reason) <= REASON_LIMIT
    assert len(trace) <= TRACE_LIMIT + 20  # the mark of what was cut
    assert trace.startswith("Traceback")
    assert trace.rstrip().endswith("y")


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_error_that_cannot_say_what_it_is_still_has_a_reason() -> None:
    reason, trace = describe(Wordless())
    assert reason == "Wordless"
    assert "Wordless" in trace


@given(st.text(st.characters(categories=["Cs", "L", "Cc"]), max_size=20))
def test_every_reason_and_trace_can_be_written(text: str) -> None:
    """A file name that is not UTF-8 comes as lone surrogates, which neither JSON nor msgpack can carry."""
    for written in describe(ValueError(text)):
        written.encode()
