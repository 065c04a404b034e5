"""The error tree: one root, default messages that help, and what the worker tells apart."""

from __future__ import annotations

import inspect

import pytest

from corral import errors
from corral.errors import (
    AttemptTimeout,
    CorralError,
    KilledItsWorker,
    ResultTimeout,
    RetryAfter,
    SignalTimeout,
    Snooze,
    UndecodableData,
    UnknownNameExpired,
    Unrecoverable,
)

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
TIMED = (RetryAfter, Snooze)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_tree_and_speaks_for_itself(kind: type[CorralError]) -> None:
    assert issubclass(kind, CorralError)
    error = kind(5) if kind in TIMED else kind()
    assert str(error) == error.message == inspect.getdoc(kind)
    assert error.message.endswith(".")
    assert kind.__doc__ is not None, "a message of its own, not the parent's"


def test_a_message_of_ones_own_wins() -> None:
    assert errors.JobNotFound("kyc-verification:7 is gone.").message == "kyc-verification:7 is gone."


@pytest.mark.parametrize("kind", TIMED)
def test_steering_errors_carry_their_seconds(kind: type[RetryAfter] | type[Snooze]) -> None:
    error = kind(2.5, "The provider asked for a pause.")
    assert error.seconds == 2.5
    assert error.message == "The provider asked for a pause."


@pytest.mark.parametrize("kind", [UndecodableData, KilledItsWorker, UnknownNameExpired])
def test_what_trying_again_cannot_help(kind: type[CorralError]) -> None:
    assert issubclass(kind, Unrecoverable)


@pytest.mark.parametrize("kind", [ResultTimeout, SignalTimeout, AttemptTimeout])
def test_a_time_out_is_a_time_out_to_python_too(kind: type[CorralError]) -> None:
    assert issubclass(kind, TimeoutError)


def test_a_retry_is_no_verdict_and_a_snooze_no_failure() -> None:
    assert not issubclass(RetryAfter, Unrecoverable)
    assert not issubclass(Snooze, RetryAfter | Unrecoverable)
