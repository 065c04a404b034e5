"""Which errors are worth a retry, and a function that says how long to wait."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from corral import Queue, Retry, RetryAfter, Snooze, Unrecoverable
from corral.adding import AddOptions, Templates
from corral.bullmq.codec import JobOptions, decode_options
from corral.bullmq.keys import QueueKeys
from corral.errors import AttemptTimeout, InvalidOptions
from corral.policy import Retention
from corral.worker.outcome import LONGEST_WAIT_SECONDS, Again, Dead, Plan, Unspent, decide, plan

KEYS = QueueKeys("bull", "orders")


def planned(options: JobOptions | None = None, **retry: Any) -> Plan:
    return plan(options or JobOptions(), Retry(**retry), None, Retention())


def wire(queue: Retry, own: Retry | None = None) -> JobOptions:
    """What a worker reads of a job added to a queue of this policy."""
    made = Templates(Queue("orders", retry=queue), KEYS).make("build", AddOptions(retry=own))
    return decode_options(made.options.encode())


# Classes


def test_a_permanent_error_is_dead_with_attempts_left() -> None:
    policy = planned(attempts=9, permanent=(LookupError,))
    assert isinstance(decide(KeyError("a"), policy, 1), Dead)  # a subclass
    assert isinstance(decide(ValueError("a"), policy, 1), Again)


def test_with_a_list_of_retryable_errors_all_others_are_dead() -> None:
    policy = planned(attempts=9, retryable=(ConnectionError, TimeoutError))
    assert isinstance(decide(ConnectionResetError("a"), policy, 1), Again)
    assert isinstance(decide(AttemptTimeout("a"), policy, 1), Again)  # it is a TimeoutError
    assert isinstance(decide(ValueError("a"), policy, 1), Dead)


def test_a_handler_that_asks_for_a_retry_gets_it() -> None:
    policy = planned(attempts=9, retryable=(ConnectionError,))
    assert isinstance(decide(RetryAfter(5, "busy"), policy, 1), Again)
    assert isinstance(decide(Snooze(5), policy, 1), Unspent)


def test_permanent_wins_over_retryable() -> None:
    policy = planned(attempts=9, permanent=(ConnectionRefusedError,), retryable=(ConnectionError,))
    assert isinstance(decide(ConnectionRefusedError("a"), policy, 1), Dead)
    assert isinstance(decide(ConnectionResetError("a"), policy, 1), Again)


def test_retryable_gives_no_further_attempts() -> None:
    policy = planned(attempts=2, retryable=(ValueError,))
    assert isinstance(decide(ValueError("a"), policy, 2), Dead)
    assert isinstance(decide(Unrecoverable("a"), planned(attempts=2, retryable=(Unrecoverable,)), 1), Dead)


def test_one_class_may_stand_alone() -> None:
    assert Retry(permanent=ValueError).permanent == (ValueError,)  # type: ignore[arg-type]  # it is kind, not typed


@pytest.mark.parametrize("field", ["permanent", "retryable"])
@pytest.mark.parametrize("value", [("ValueError",), (int,), (ValueError("a"),)], ids=str)
def test_what_is_no_error_class_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidOptions, match=field):
        Retry(**{field: value})


# A function


def test_a_function_decides_by_attempt_and_error() -> None:
    asked: list[tuple[int, BaseException]] = []

    def wait(attempt: int, error: BaseException) -> float | None:
        asked.append((attempt, error))
        return None if isinstance(error, KeyError) else attempt * 10

    policy = planned(attempts=5, wait=wait, delays=(1,), max_delay=2, jitter=1)
    error = ValueError("a")
    first, second = decide(error, policy, 1), decide(error, policy, 2)
    assert isinstance(first, Again)
    assert isinstance(second, Again)
    assert (first.wait, second.wait) == (10, 20)
    assert isinstance(decide(KeyError("b"), policy, 1), Dead)
    assert asked[0] == (1, error)


def test_a_function_is_not_asked_where_nothing_is_left_to_decide() -> None:
    def wait(attempt: int, error: BaseException) -> float:
        raise AssertionError("asked")

    policy = planned(attempts=2, wait=wait, permanent=(KeyError,))
    for error, attempt in ((ValueError(), 2), (KeyError(), 1), (Unrecoverable(), 1)):
        outcome = decide(error, policy, attempt)
        assert isinstance(outcome, Dead)
        assert "asked" not in outcome.trace


def test_a_longer_wait_that_the_error_asks_for_stands() -> None:
    policy = planned(attempts=2, wait=lambda attempt, error: 5)
    outcome = decide(RetryAfter(60), policy, 1)
    assert isinstance(outcome, Again)
    assert outcome.wait == 60


@pytest.mark.parametrize("value", [math.nan, -1, "5", True, [5]], ids=str)
def test_nonsense_of_a_function_costs_nothing_but_shows(value: Any) -> None:
    policy = planned(attempts=2, wait=lambda attempt, error: value, delays=(7,))
    outcome = decide(ValueError("a"), policy, 1)
    assert isinstance(outcome, Again)
    assert (outcome.wait, outcome.reason) == (7, "a")
    assert "Retry.wait was passed over" in outcome.trace


def test_a_function_that_breaks_costs_nothing_but_shows() -> None:
    policy = planned(attempts=2, wait=lambda attempt, error: 1 / 0, delays=(7,))
    outcome = decide(ValueError("a"), policy, 1)
    assert isinstance(outcome, Again)
    assert outcome.wait == 7
    assert "ZeroDivisionError" in outcome.trace


def test_an_endless_wait_is_bounded() -> None:
    outcome = decide(ValueError("a"), planned(attempts=2, wait=lambda attempt, error: math.inf), 1)
    assert isinstance(outcome, Again)
    assert outcome.wait == LONGEST_WAIT_SECONDS


async def _async_wait(attempt: int, error: BaseException) -> float:
    return 1.0


@pytest.mark.parametrize("wait", [_async_wait, 5], ids=["async", "number"])
def test_a_wait_is_a_plain_function(wait: Any) -> None:
    with pytest.raises(InvalidOptions, match="wait"):
        Retry(wait=wait)


# With a job's own options


def never(attempt: int, error: BaseException) -> None:
    return None


FUNCTION = Retry(attempts=4, wait=never, permanent=(KeyError,), retryable=(ValueError, KeyError))


def test_a_job_carries_its_attempts_and_leaves_the_waits_to_the_queue() -> None:
    made = Templates(Queue("orders", retry=FUNCTION), KEYS).make("build", AddOptions())
    assert json.loads(made.options) == {
        "attempts": 4,
        "backoff": {"type": "exponential", "delay": 1000, "queueWaits": True},
    }
    assert plan(wire(FUNCTION), FUNCTION, None, Retention()).retry == FUNCTION
    # By the time it runs, the queue may have dropped its function: its other waits hold then.
    later = Retry(attempts=9, delays=(3,))
    assert plan(wire(FUNCTION), later, None, Retention()).retry == Retry(attempts=4, delays=(3,))


def test_a_jobs_own_waits_win_over_the_queues_function_but_not_over_its_classes() -> None:
    retry = plan(wire(FUNCTION, Retry(attempts=7, delays=(1, 2))), FUNCTION, None, Retention()).retry
    assert (retry.attempts, retry.delays, retry.wait) == (7, (1, 2), None)
    assert (retry.permanent, retry.retryable) == ((KeyError,), (ValueError, KeyError))


def test_the_classes_hold_for_jobs_of_a_stock_producer() -> None:
    stock = decode_options(b'{"attempts":3,"backoff":{"type":"exponential","delay":60000}}')
    policy = plan(stock, Retry(permanent=(KeyError,)), None, Retention())
    assert isinstance(decide(KeyError(), policy, 1), Dead)
    assert isinstance(decide(ValueError(), policy, 1), Again)


def test_a_job_may_bring_the_queues_own_function_with_other_attempts() -> None:
    own = Retry(attempts=2, wait=never, permanent=(KeyError,), retryable=(ValueError, KeyError))
    assert plan(wire(FUNCTION, own), FUNCTION, None, Retention()).retry == own


@pytest.mark.parametrize(
    "own",
    [Retry(wait=lambda a, e: 1), Retry(permanent=(OSError,)), Retry(retryable=(OSError,))],
    ids=["wait", "permanent", "retryable"],
)
def test_what_cannot_travel_is_refused(own: Retry) -> None:
    with pytest.raises(InvalidOptions, match="declare it on the queue"):
        wire(FUNCTION, own)
