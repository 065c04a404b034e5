"""Retry, RateLimit, Priority, Retention: the decisions that a queue promises."""

from __future__ import annotations

import dataclasses
import math
import random
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.errors import InvalidOptions
from corral.policy import MAX_PRIORITY, Keep, Priority, RateLimit, Retention, Retry

seconds = st.floats(0, 1e9, allow_nan=False)
shares = st.floats(0, 1, allow_nan=False)
#: Far past any real number of attempts: nothing may overflow.
attempts = st.integers(1, 10_000)
backoffs: st.SearchStrategy[Literal["fixed", "exponential"]] = st.sampled_from(("fixed", "exponential"))
retries = st.builds(
    Retry,
    attempts=attempts,
    delays=st.lists(seconds, max_size=6),
    backoff=backoffs,
    delay=seconds,
    max_delay=seconds,
    jitter=shares,
)


@given(retries, attempts, st.floats(0, 1, exclude_max=True))
def test_a_wait_lies_between_its_jittered_floor_and_its_bound(
    retry: Retry, attempt: int, rand: float
) -> None:
    wait = retry.wait_after(attempt, rand=lambda: rand)
    full = dataclasses.replace(retry, jitter=0).wait_after(attempt)
    assert 0 <= full <= retry.max_delay
    # Two roundings lie between the formula and this one.
    assert full * (1 - retry.jitter) * (1 - 1e-9) <= wait <= full * (1 + 1e-9)


@given(retries, attempts)
def test_no_jitter_needs_no_random_number(retry: Retry, attempt: int) -> None:
    def never() -> float:
        raise AssertionError("asked for a random number")

    steady = dataclasses.replace(retry, jitter=0)
    assert steady.wait_after(attempt, rand=never) == steady.wait_after(attempt, rand=never)


@given(backoffs, seconds, seconds, attempts)
def test_backoff_never_gets_shorter(
    backoff: Literal["fixed", "exponential"], delay: float, bound: float, attempt: int
) -> None:
    retry = Retry(backoff=backoff, delay=delay, max_delay=bound)
    assert retry.wait_after(attempt) <= retry.wait_after(attempt + 1)


@given(st.lists(seconds, min_size=1, max_size=6), backoffs, attempts)
def test_delays_win_and_the_last_repeats(
    delays: list[float], backoff: Literal["fixed", "exponential"], attempt: int
) -> None:
    retry = Retry(delays=delays, backoff=backoff, delay=7, max_delay=1e9)
    assert retry.wait_after(attempt) == (delays[attempt - 1] if attempt <= len(delays) else delays[-1])


def test_the_queue_of_the_service_waits_1_5_15_minutes() -> None:
    retry = Retry(attempts=4, delays=(60, 300, 900))
    assert [retry.wait_after(n) for n in (1, 2, 3, 4)] == [60, 300, 900, 900]


def test_exponential_doubles() -> None:
    assert [Retry(delay=60).wait_after(n) for n in (1, 2, 3, 4)] == [60, 120, 240, 480]


def test_fixed_stays() -> None:
    assert [Retry(backoff="fixed", delay=60).wait_after(n) for n in (1, 2, 3)] == [60, 60, 60]


def test_max_delay_bounds_delays_too() -> None:
    assert Retry(delays=(60, 300), max_delay=100).wait_after(2) == 100


def test_jitter_is_the_random_share_of_the_wait() -> None:
    retry = Retry(backoff="fixed", delay=60, jitter=0.1)
    assert retry.wait_after(1, rand=lambda: 0.0) == pytest.approx(54)
    assert retry.wait_after(1, rand=lambda: 1.0) == pytest.approx(60)


def test_jitter_spreads_by_default() -> None:
    random.seed(1)
    retry = Retry(backoff="fixed", delay=60, jitter=1)
    assert len({retry.wait_after(1) for _ in range(20)}) == 20


def test_delays_are_kept_as_a_tuple_of_floats() -> None:
    source = [1, 2]
    retry = Retry(delays=source)
    source.append(3)
    assert retry.delays == (1.0, 2.0)
    assert hash(retry) == hash(Retry(delays=(1, 2)))


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"attempts": -3},
        {"jitter": -0.01},
        {"jitter": 1.01},
        {"delay": -1},
        {"max_delay": -1},
        {"delays": (1, -1)},
        {"delay": math.inf},
        {"max_delay": math.nan},
        {"delays": (1, math.inf)},
        {"backoff": "linear"},
    ],
)
def test_impossible_retry_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptions, match="Retry"):
        Retry(**options)


@pytest.mark.parametrize(("jobs", "per"), [(0, 1), (-1, 1), (1, 0), (1, -60), (1, math.inf), (1, math.nan)])
def test_impossible_rate_limit_is_refused(jobs: int, per: float) -> None:
    with pytest.raises(InvalidOptions, match="RateLimit"):
        RateLimit(jobs, per=per)


def test_rate_limit_is_per_second_by_default() -> None:
    assert RateLimit(100) == RateLimit(100, per=1.0)


@pytest.mark.parametrize("bound", [-1, -0.5, math.inf, math.nan])
@pytest.mark.parametrize("name", ["count", "age"])
def test_impossible_retention_is_refused(name: str, bound: Any) -> None:
    with pytest.raises(InvalidOptions, match="Keep"):
        Keep(**{name: bound})


def test_priorities_are_the_missions_and_fit_the_wire() -> None:
    assert [int(p) for p in (Priority.HIGH, Priority.MEDIUM, Priority.LOW)] == [1, 5, 10]
    assert max(Priority) <= MAX_PRIORITY == 2_097_151


def test_retention_is_bounded_by_default() -> None:
    retention = Retention()
    assert retention.completed == Keep(count=10_000, age=86_400)
    assert retention.failed == Keep(count=None, age=2_592_000)


@pytest.mark.parametrize("policy", [Retry(), RateLimit(1), Keep(), Retention()])
def test_a_policy_is_a_value(policy: Any) -> None:
    assert policy == dataclasses.replace(policy)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(policy, dataclasses.fields(policy)[0].name, None)
