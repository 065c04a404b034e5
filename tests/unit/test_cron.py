"""When the next run is: fields, names, zones, and the two nights a year that have a wrong length."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.cron import check_cron, find_zone, next_run, next_runs
from corral.errors import InvalidOptions

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def shown(expression: str, tz: str, after: str, count: int) -> list[str]:
    """The next runs after a local time, as clocks there show them, with their offset."""
    start = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(tz))
    return [run.strftime("%m-%d %H:%M%z") for run in next_runs(expression, tz, start, count)]


@pytest.mark.parametrize(
    ("expression", "runs"),
    [
        ("*/20 * * * *", ["2026-01-15 10:40:00", "2026-01-15 11:00:00"]),
        ("0 3 * * *", ["2026-01-16 03:00:00", "2026-01-17 03:00:00"]),
        ("30 0 3 * * *", ["2026-01-16 03:00:30", "2026-01-17 03:00:30"]),  # six fields: seconds first
        ("*/10 * * * * *", ["2026-01-15 10:20:40", "2026-01-15 10:20:50"]),
        ("0 9 * * MON-FRI", ["2026-01-16 09:00:00", "2026-01-19 09:00:00"]),
        ("0 0 1 JAN,jul *", ["2026-07-01 00:00:00", "2027-01-01 00:00:00"]),
        ("0 0 * * 7", ["2026-01-18 00:00:00", "2026-01-25 00:00:00"]),  # Sunday is 0 and 7
        ("0 0 L * *", ["2026-01-31 00:00:00", "2026-02-28 00:00:00"]),
        ("0 0 * * 5L", ["2026-01-30 00:00:00", "2026-02-27 00:00:00"]),
        ("0 0 * * MON#2", ["2026-02-09 00:00:00", "2026-03-09 00:00:00"]),
        ("0 0 13 * 5", ["2026-01-16 00:00:00", "2026-01-23 00:00:00"]),  # the 13th, and each Friday
        ("0 0 ? * 1", ["2026-01-19 00:00:00", "2026-01-26 00:00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("@hourly", ["2026-01-15 11:00:00", "2026-01-15 12:00:00"]),
        ("@daily", ["2026-01-16 00:00:00", "2026-01-17 00:00:00"]),
        ("@weekly", ["2026-01-18 00:00:00", "2026-01-25 00:00:00"]),
        ("@monthly", ["2026-02-01 00:00:00", "2026-03-01 00:00:00"]),
        ("@yearly", ["2027-01-01 00:00:00", "2028-01-01 00:00:00"]),
        ("@weekdays", ["2026-01-16 00:00:00", "2026-01-19 00:00:00"]),
    ],
)
def test_next_runs_in_utc(expression: str, runs: list[str]) -> None:
    after = datetime(2026, 1, 15, 10, 20, 30, 500_000, tzinfo=UTC)
    assert [f"{run:%F %T}" for run in next_runs(expression, "UTC", after, 2)] == runs


def test_a_run_is_later_than_the_moment_that_is_asked_about() -> None:
    run = datetime(2026, 1, 15, 3, tzinfo=UTC)
    assert next_run("0 3 * * *", "UTC", run) == datetime(2026, 1, 16, 3, tzinfo=UTC)
    assert next_run("0 3 * * *", "UTC", run.replace(hour=2, minute=59, second=59)) == run


def test_a_zone_says_when_three_o_clock_is() -> None:
    after = datetime(2026, 7, 1, tzinfo=UTC)
    run = next_run("0 3 * * *", BERLIN, after)
    assert run == datetime(2026, 7, 1, 1, tzinfo=UTC)
    assert run is not None
    assert run.tzinfo == ZoneInfo(BERLIN)


# Spring: an hour is missing


@pytest.mark.parametrize(
    ("tz", "evening", "day", "before", "after"),
    [
        (BERLIN, "2026-03-28 20:00", "03-29", "+0100", "+0200"),
        (NEW_YORK, "2026-03-07 20:00", "03-08", "-0500", "-0400"),
    ],
    ids=["Berlin", "New York"],
)
class TestSpring:
    def test_what_was_due_in_the_missing_hour_runs_an_hour_later(
        self, tz: str, evening: str, day: str, before: str, after: str
    ) -> None:
        assert shown("30 2 * * *", tz, evening, 1) == [f"{day} 03:30{after}"]
        assert shown("15,45 2 * * *", tz, evening, 2) == [f"{day} 03:15{after}", f"{day} 03:45{after}"]
        assert shown("0 30 2 * * *", tz, evening, 1) == [f"{day} 03:30{after}"]

    def test_it_runs_once_though_two_times_fall_together(
        self, tz: str, evening: str, day: str, before: str, after: str
    ) -> None:
        assert shown("30 2,3,4 * * *", tz, evening, 2) == [f"{day} 03:30{after}", f"{day} 04:30{after}"]

    def test_times_stay_in_order_though_two_hours_fall_together(
        self, tz: str, evening: str, day: str, before: str, after: str
    ) -> None:
        assert shown("*/30 1-3 * * *", tz, evening, 4) == [
            f"{day} 01:00{before}",
            f"{day} 01:30{before}",
            f"{day} 03:00{after}",
            f"{day} 03:30{after}",
        ]

    def test_other_times_are_not_shifted(
        self, tz: str, evening: str, day: str, before: str, after: str
    ) -> None:
        assert shown("0 1 * * *", tz, evening, 1) == [f"{day} 01:00{before}"]
        assert shown("0 3 * * *", tz, evening, 1) == [f"{day} 03:00{after}"]
        assert shown("0 0 * * *", tz, evening, 1) == [f"{day} 00:00{before}"]

    def test_every_real_hour_counts_once(
        self, tz: str, evening: str, day: str, before: str, after: str
    ) -> None:
        runs = shown("0 * * * *", tz, f"2026-{day} 00:30", 3)
        assert runs == [f"{day} 01:00{before}", f"{day} 03:00{after}", f"{day} 04:00{after}"]


# Autumn: an hour comes twice


def test_a_time_that_comes_twice_runs_at_its_first() -> None:
    assert shown("30 2 * * *", BERLIN, "2026-10-24 20:00", 2) == ["10-25 02:30+0200", "10-26 02:30+0100"]
    assert shown("30 1 * * *", NEW_YORK, "2026-10-31 20:00", 2) == ["11-01 01:30-0400", "11-02 01:30-0500"]
    assert shown("0 */2 * * *", BERLIN, "2026-10-24 23:00", 3) == [
        "10-25 00:00+0200",
        "10-25 02:00+0200",
        "10-25 04:00+0100",
    ]


def test_asked_in_the_second_of_the_two_hours_the_first_does_not_come_again() -> None:
    second = datetime(2026, 10, 25, 2, 10, tzinfo=ZoneInfo(BERLIN), fold=1)
    assert next_run("30 2 * * *", BERLIN, second) == datetime(2026, 10, 26, 2, 30, tzinfo=ZoneInfo(BERLIN))


def test_every_real_hour_counts_in_the_long_night() -> None:
    assert shown("0 * * * *", BERLIN, "2026-10-25 01:30", 3) == [
        "10-25 02:00+0200",
        "10-25 02:00+0100",
        "10-25 03:00+0100",
    ]


@given(
    st.sampled_from(
        ["30 2 * * *", "*/7 1-3 * * *", "0 * * * *", "*/5 * * * *", "0 */2 * * *", "59 23 L * *"]
    ),
    st.sampled_from([BERLIN, NEW_YORK, "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu"]),
    st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # hypothesis wants them naive
)
def test_runs_always_go_forward_and_none_is_left_out_by_asking_in_between(
    expression: str, tz: str, after: datetime
) -> None:
    first, second = next_runs(expression, tz, after, 2)
    assert after < first < second
    assert next_run(expression, tz, after + (first - after) / 2) == first


# Nonsense


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "has 0 fields"),
        ("* * *", "has 3 fields"),
        ("0 0 0 0 0 0 0", "has 7 fields"),
        ("60 * * * *", "minute field, '60'"),
        ("0 25 * * *", "hour field, '25'"),
        ("0 0 32 * *", "day-of-month field, '32'"),
        ("0 0 30 2 *", "day-of-month field, '30'"),
        ("0 0 * 13 *", "month field, '13'"),
        ("0 0 * * 8", "day-of-week field, '8'"),
        ("0 0 * * FRI-MON", "day-of-week field"),
        ("61 0 0 * * *", "second field, '61'"),
        ("*/0 * * * *", "minute field"),
        ("x * * * *", "minute field, 'X'"),
        ("@midnigth", "no name of a schedule"),
        ("0 0 LW * *", "Node cannot read its day-of-month field"),
        ("0 0 * * MON#1,WED#2", "Node cannot read its day-of-week field"),
        ("0,0 * * * *", "Node cannot read its minute field"),
        ("H * * * *", "minute field, 'H'"),
        ("0 " * 600, "longer than"),
    ],
)
def test_nonsense_is_refused_with_what_is_wrong(expression: str, says: str) -> None:
    with pytest.raises(InvalidOptions) as refused:
        check_cron(expression)
    assert says in str(refused.value)


@pytest.mark.parametrize("tz", ["Europe/Berlni", "", "Europe", "../../etc/passwd", "CET+1", "/etc/passwd"])
def test_a_zone_that_is_none_is_refused(tz: str) -> None:
    with pytest.raises(InvalidOptions, match="is no time zone"):
        find_zone(tz)


def test_a_misspelt_zone_is_told_its_near_name() -> None:
    with pytest.raises(InvalidOptions, match="Did you mean 'Europe/Berlin'"):
        find_zone("Europe/Berlni")
