"""The rate of a host's processes, from what they report."""

from __future__ import annotations

from typing import Any

import pytest

from corral.worker.rate import RateMeter


def report(at: float, jobs: int, running: int = 1, queue: str = "load") -> dict[str, Any]:
    return {"written_at": at, "queues": {queue: {"jobs": jobs, "running": running}}}


def per_second(meter: RateMeter, processes: int = 1) -> float:
    recent = meter.recent("load", processes)
    assert recent is not None
    return recent.per_second


def test_what_one_process_does_counts_for_all() -> None:
    meter = RateMeter()
    meter.note({1: report(0, 0), 2: report(0, 100)})
    meter.note({1: report(10, 50), 2: report(10, 180)})
    assert per_second(meter, 2) == pytest.approx(13)
    assert per_second(meter, 6) == pytest.approx(39)


def test_time_without_jobs_does_not_make_it_slow() -> None:
    meter = RateMeter()
    meter.note({1: report(0, 0, 0)})
    meter.note({1: report(10, 0, 0)})
    assert meter.recent("load", 1) is None
    meter.note({1: report(15, 500)})
    assert per_second(meter) == pytest.approx(100)


def test_jobs_of_which_none_ends_are_a_rate_of_nothing() -> None:
    meter = RateMeter()
    meter.note({1: report(0, 7)})
    meter.note({1: report(10, 7)})
    assert per_second(meter) == 0


def test_only_the_last_seconds_count() -> None:
    meter = RateMeter(window_seconds=10)
    for at, jobs in ((0, 0), (5, 1_000), (10, 1_050), (15, 1_100)):
        meter.note({1: report(at, jobs)})
    assert per_second(meter) == pytest.approx(10)


def test_a_process_that_is_gone_is_forgotten_and_one_read_twice_counts_once() -> None:
    meter = RateMeter()
    meter.note({1: report(0, 0), 2: report(0, 0)})
    for _ in range(2):
        meter.note({2: report(10, 100)})
    assert per_second(meter) == pytest.approx(10)
    meter.note({})
    assert meter.recent("load", 1) is None
    assert RateMeter().recent("load", 1) is None
