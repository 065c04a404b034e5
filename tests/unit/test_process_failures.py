"""An exception that crosses to another process and back is what it was, to every rule that looks at it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from corral.context import Suspended
from corral.errors import InvalidData, LockLost, ProcessDied, RetryAfter, SignalTimeout, Snooze, Unrecoverable
from corral.worker.outcome import describe
from corral.worker.processes.failures import pack, unpack
from corral.worker.processes.messages import Failure


def crossed(error: BaseException) -> BaseException:
    """As it arrives, by way of its bytes."""
    return unpack(msgspec.msgpack.decode(msgspec.msgpack.encode(pack(error)), type=Failure))


class Picky(ValueError):
    def __init__(self, *, code: int, detail: dict[str, Any]) -> None:
        super().__init__(f"code {code}")
        self.code = code
        self.detail = detail


class Sealed(Exception):
    def __init_subclass__(cls) -> None:
        raise TypeError("no subclasses")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("broken")


@pytest.mark.parametrize(
    "error",
    [
        Unrecoverable("u"),
        LockLost("l"),
        SignalTimeout("s"),
        InvalidData("i"),
        ProcessDied("p"),
        KeyError("k"),
    ],
)
def test_class_name_and_text_stay(error: Exception) -> None:
    there = crossed(error)
    assert isinstance(there, type(error))
    assert (type(there).__name__, str(there)) == (type(error).__name__, str(error))


def test_what_steers_a_job_keeps_its_numbers() -> None:
    later, snooze, wait = (
        crossed(RetryAfter(7.5, "x")),
        crossed(Snooze(3)),
        crossed(Suspended("sig", 12.5, 2.5)),
    )
    assert isinstance(later, RetryAfter)
    assert later.seconds == 7.5
    assert isinstance(snooze, Snooze)
    assert snooze.seconds == 3
    assert isinstance(wait, Suspended)
    assert not isinstance(wait, Exception)
    assert (wait.signal, wait.until, wait.seconds) == ("sig", 12.5, 10.0)


def test_a_constructor_of_its_own_is_not_called_again() -> None:
    there: Any = crossed(Picky(code=4, detail={"a": 1}))
    assert isinstance(there, Picky)
    assert (str(there), there.code) == ("code 4", 4)
    assert not hasattr(there, "detail")  # only plain values cross


def test_a_class_that_is_not_here_counts_as_its_nearest_base() -> None:
    class Local(Unrecoverable):
        pass

    there = crossed(Local("gone"))
    assert isinstance(there, Unrecoverable)
    assert not isinstance(there, Local)
    assert type(there).__name__ == "Local"


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt("k"),
        asyncio.CancelledError("c"),
        GeneratorExit("g"),
        Sealed("s"),
        StopIteration("i"),
    ],
)
def test_what_would_mislead_the_worker_becomes_a_plain_exception(error: BaseException) -> None:
    there = crossed(error)
    assert type(there).__mro__[2] is Exception
    assert (type(there).__name__, str(there)) == (type(error).__name__, str(error))


def test_a_broken_text_and_half_characters() -> None:
    assert str(crossed(Mute())) == ""
    assert describe(crossed(Mute()))[0] == "Mute"
    assert str(crossed(ValueError("\ud800"))) == "\\ud800"


def test_a_group_has_its_text() -> None:
    assert str(crossed(ExceptionGroup("both", [ValueError("a"), KeyError("b")]))) == "both (2 sub-exceptions)"


def test_the_trace_of_the_other_process_is_told() -> None:
    try:
        raise ValueError("there")
    except ValueError as error:
        reason, trace = describe(crossed(error))
    assert reason == "there"
    assert "in test_the_trace_of_the_other_process_is_told" in trace
    assert trace.rstrip().endswith("ValueError: there")
