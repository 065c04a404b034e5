"""Gaps, recovery times and memory of a soak, from a ledger written by hand."""

from __future__ import annotations

import pytest
from bench.soak.ledger import Answer, Book, Run, Trouble
from bench.soak.plan import FaultKind
from bench.soak.service import Gap, longest_gap, memory, recoveries


def book(**rows: tuple[object, ...]) -> Book:
    empty: dict[str, tuple[object, ...]] = dict.fromkeys(
        ("answers", "begun", "effects", "troubles", "memory"), ()
    )
    return Book(**empty | rows)  # type: ignore[arg-type]  # the fields of a test's own rows


def test_the_longest_gap_names_what_was_wrong_then() -> None:
    away = Trouble(FaultKind.REDIS_KILL, 12, 14)
    long_ago = Trouble(FaultKind.API_KILL, 1, 2)
    assert longest_gap([10, 11, 17, 18], [away, long_ago]) == Gap(6, 11, ("Redis killed",))
    assert longest_gap([], []) == Gap(0, 0)


def test_a_kill_is_over_when_the_last_of_its_jobs_is_done() -> None:
    killed = Trouble(FaultKind.WORKER_KILL, 20, 20, 1)
    begun = (
        Run(0, "a", 1, 1, 19),
        Run(1, "b", 1, 1, 19.5),
        Run(2, "c", 1, 1, 10),
        Run(3, "d", 1, 2, 19),
        Run(7, "e", 1, 1, 19),
    )
    effects = (
        Run(2, "c", 1, 1, 10, 11),  # done before
        Run(0, "a", 1, 2, 30, 31),
        Run(1, "b", 1, 2, 34, 35),
        Run(3, "d", 1, 2, 19, 90),  # of another process
        Run(7, "e", 2, 2, 95, 96),  # it had failed, as every seventh of 25 does, and waited
    )
    (one,) = recoveries(book(troubles=(killed,), begun=begun, effects=effects))
    assert (one.count, one.median, one.longest) == (1, 15, 15)


def test_redis_is_back_when_a_job_begins() -> None:
    troubles = tuple(Trouble(FaultKind.REDIS_KILL, at, at + 2) for at in (10.0, 20.0))
    effects = (Run(0, "a", 1, 1, 12.5, 13), Run(1, "b", 1, 1, 23, 24))
    (one,) = recoveries(book(troubles=troubles, effects=effects))
    assert (one.count, one.median, one.longest) == (2, 0.75, 1)


def test_an_api_is_back_when_one_of_its_adds_is_answered() -> None:
    troubles = (Trouble(FaultKind.API_KILL, 10, 11),)
    answers = (
        Answer(0, "python", "a", 11.1),
        Answer(1, "http", None, 11.2, "ConnectError"),
        Answer(4, "http", "b", 14.0),
    )
    (one,) = recoveries(book(troubles=troubles, answers=answers))
    assert one.longest == 3


def test_what_was_not_felt_has_no_time() -> None:
    (one,) = recoveries(book(troubles=(Trouble(FaultKind.CLOCK, 10, 11),)))
    assert (one.median, one.longest) == (None, None)


def test_memory_compares_quarters() -> None:
    samples = tuple((float(at), "Redis", (10 + at) * 2**20) for at in range(8))
    (one,) = memory(book(memory=samples))
    assert (one.early, one.late, one.most) == pytest.approx((12.5, 16.5, 17))
