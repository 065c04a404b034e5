"""Quiet hours by the wall clock of the user, over midnight and over clock changes; the rate's form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.errors import ConfigurationError
from corral.queues.notification_timing import (
    QuietHours,
    UserRate,
    parse_quiet_hours,
    parse_user_rate,
    quiet_for,
    zone,
)
from corral.settings import Settings

NIGHT = "22:00-07:00"
BERLIN = "Europe/Berlin"
HOUR = 3600.0
MOMENTS = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-12-31")


def hours(text: str) -> QuietHours:
    found = parse_quiet_hours(text)
    assert found is not None
    return found


def at(text: str, where: str = "UTC", fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(where), fold=fold)


@pytest.mark.parametrize(
    ("quiet", "where", "now", "seconds"),
    [
        (NIGHT, "UTC", "2026-11-10 21:59:59", 0.0),
        (NIGHT, "UTC", "2026-11-10 22:00", 9 * HOUR),
        (NIGHT, "UTC", "2026-11-10 23:59:59", 7 * HOUR + 1),
        (NIGHT, "UTC", "2026-11-11 00:00", 7 * HOUR),
        (NIGHT, "UTC", "2026-11-11 06:59:59.5", 0.5),
        (NIGHT, "UTC", "2026-11-11 07:00", 0.0),
        ("13:00-15:00", "UTC", "2026-11-11 12:59", 0.0),
        ("13:00-15:00", "UTC", "2026-11-11 13:00", 2 * HOUR),
        ("13:00-15:00", "UTC", "2026-11-11 15:00", 0.0),
        ("00:00-06:00", "UTC", "2026-11-11 00:00", 6 * HOUR),
        ("18:00-00:00", "UTC", "2026-11-11 23:00", HOUR),
        (NIGHT, "Asia/Kolkata", "2026-11-10 17:00+00:00", 8.5 * HOUR),
        (NIGHT, "America/New_York", "2026-11-10 12:30+00:00", 0.0),
        # The night in which clocks go forward (02:00 is 03:00) is an hour shorter, the other an hour longer.
        (NIGHT, BERLIN, "2026-03-28 22:00", 8 * HOUR),
        (NIGHT, BERLIN, "2026-10-24 22:00", 10 * HOUR),
        # 02:30 is skipped: it comes when the clocks show 03:30.
        ("22:00-02:30", BERLIN, "2026-03-29 01:30", HOUR),
        # 02:30 comes twice: the first ends it.
        ("22:00-02:30", BERLIN, "2026-10-25 01:30", HOUR),
    ],
)
def test_quiet_hours_end_by_the_users_clock(quiet: str, where: str, now: str, seconds: float) -> None:
    moment = datetime.fromisoformat(now)
    moment = moment if moment.tzinfo else at(now, where)
    assert quiet_for(hours(quiet), ZoneInfo(where), moment.astimezone(UTC)) == seconds


def test_in_the_hour_that_comes_twice_the_second_end_counts_once_the_first_has_passed() -> None:
    # 02:10 for the second time, after the first 02:30 ended the night.
    now = at("2026-10-25 02:10", BERLIN, fold=1).astimezone(UTC)
    assert quiet_for(hours("22:00-02:30"), ZoneInfo(BERLIN), now) == 20 * 60


@given(
    moment=st.datetimes(MOMENTS[0], MOMENTS[1]),
    where=st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    quiet=st.sampled_from([NIGHT, "22:00-02:30", "01:30-02:30", "23:59-00:00", "00:01-00:00"]),
)
def test_after_the_wait_it_is_quiet_no_longer(moment: datetime, where: str, quiet: str) -> None:
    now = moment.replace(tzinfo=UTC)
    place = ZoneInfo(where)
    seconds = quiet_for(hours(quiet), place, now)
    assert 0 <= seconds < 26 * HOUR
    if seconds:
        end = now + timedelta(seconds=seconds)
        assert end.astimezone(place).time() >= hours(quiet).end
        assert quiet_for(hours(quiet), place, end) == 0.0


def test_what_the_settings_say() -> None:
    assert parse_quiet_hours("") is None
    assert parse_user_rate("") is None
    assert parse_user_rate("10/3600") == UserRate(10, 3600)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CORRAL_QUIET_HOURS", "07:00-07:00"),
        ("CORRAL_QUIET_HOURS", "22-07"),
        ("CORRAL_QUIET_HOURS", "24:00-07:00"),
        ("CORRAL_NOTIFY_PER_USER", "10"),
        ("CORRAL_NOTIFY_PER_USER", "0/60"),
        ("CORRAL_SMS_DELIVERY", "twice"),
        ("CORRAL_UNDELIVERABLE", "maybe"),
        ("CORRAL_DEVICES_COLUMNS", "user_id,token"),
        ("CORRAL_DEVICES_TABLE", "a;b"),
        ("VAPID_SUBJECT", "a@example.com"),
    ],
)
def test_a_setting_that_means_nothing_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        Settings.load()


@pytest.mark.parametrize("name", [None, "", "Europe/Nowhere", "../etc/passwd", "/etc/passwd", "\0"])
def test_a_time_zone_that_is_not_known_is_utc(name: str | None) -> None:
    assert zone(name).key == "UTC"
    assert zone(BERLIN).key == BERLIN
