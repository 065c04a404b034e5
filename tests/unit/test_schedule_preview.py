"""`Schedule.next_runs`: a preview that asks nobody."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from corral.errors import InvalidOptions
from corral.schedules import Schedule

FIRST = datetime(2099, 3, 28, 2, tzinfo=UTC)
NIGHTLY = Schedule(
    id="nightly", name="build", data=None, cron="0 3 * * *", every=None, tz="Europe/Berlin", offset=None,
    start=None, end=None, limit=None, iterations=1, next_run=FIRST, last_run=None, paused=False,
)  # fmt: skip


def test_the_pending_run_comes_first_and_zones_are_kept() -> None:
    runs = NIGHTLY.next_runs(3)
    assert [run.isoformat() for run in runs] == [
        "2099-03-28T03:00:00+01:00",
        "2099-03-29T03:00:00+02:00",
        "2099-03-30T03:00:00+02:00",
    ]
    assert [run.hour for run in NIGHTLY.next_runs(3, "UTC")] == [2, 1, 1]


def test_none_is_after_the_end_and_none_at_all_of_one_that_is_over() -> None:
    assert len(dataclasses.replace(NIGHTLY, end=FIRST + timedelta(days=1)).next_runs(5)) == 2
    assert dataclasses.replace(NIGHTLY, next_run=None).next_runs(5) == []


def test_a_paused_one_is_reckoned_from_now_or_its_start() -> None:
    paused = dataclasses.replace(NIGHTLY, next_run=None, paused=True)
    assert datetime.now(UTC) < paused.next_runs(1)[0] < datetime.now(UTC) + timedelta(hours=26)
    later = dataclasses.replace(paused, start=datetime(2098, 1, 1, tzinfo=UTC))
    assert later.next_runs(1)[0].isoformat() == "2098-01-01T03:00:00+01:00"


def test_every_adds_up() -> None:
    pulse = dataclasses.replace(NIGHTLY, cron=None, every=90.0, tz="UTC")
    assert [(run - FIRST).total_seconds() for run in pulse.next_runs(3)] == [0, 90, 180]
    assert pulse.next_runs(0) == []


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(InvalidOptions, match="no time zone"):
        NIGHTLY.next_runs(1, "Berlin")
