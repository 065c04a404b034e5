"""What a job scheduler is on the wire, and when its next run is; without Redis."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from corral.bullmq.schedule_record import (
    Record,
    Timing,
    count_of,
    is_legacy,
    is_used_up,
    means_the_same,
    milliseconds,
    next_slot,
    paused_text,
    read_options,
    read_paused,
    read_record,
    run_id,
    run_options,
    same_rhythm,
    slot_after,
    slot_of,
    template_options,
)
from corral.errors import InvalidOptions

#: 2026-01-15 10:20:30 UTC.
NOW = round(datetime(2026, 1, 15, 10, 20, 30, tzinfo=UTC).timestamp() * 1000)
HOUR = 3_600_000


def at(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]  # a date's parts


# Read


def test_a_hash_of_bullmq_is_read() -> None:
    fields = {
        b"name": b"build", b"pattern": b"0 3 * * *", b"tz": b"Europe/Berlin", b"limit": b"9", b"ic": b"4",
        b"startDate": b"1768472430000", b"endDate": b"1800000000000", b"data": b'{"a":1}',
        b"opts": b'{"attempts":3,"jobId":"x","delay":5}',
    }  # fmt: skip
    timing = Timing("0 3 * * *", None, "Europe/Berlin", None, 1768472430000, 1800000000000, 9)
    assert read_record("nightly", fields, 1768532400000.0) == Record(
        "nightly", "build", timing, '{"a":1}', {"attempts": 3}, 4, 1768532400000
    )


def test_nonsense_in_a_hash_counts_as_not_said() -> None:
    fields = {b"name": b"\xff", b"every": b"soon", b"limit": b"-3", b"ic": b"nan", b"opts": b"[1", b"tz": b""}
    record = read_record("odd", fields, None)
    assert (record.timing, record.iterations, record.options, record.data, record.next) == (
        Timing(), 0, {}, "{}", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (5, 5), ("5", 5), (5.9, 5), ("2026-01-15T10:20:30Z", NOW), ("2026-01-15T10:20:30.000Z", NOW),
        (-1, None), (True, None), (None, None), ("x", None), ("", None), ("inf", None), (2**60, None),
        ([], None),
    ],
)  # fmt: skip
def test_a_moment_or_a_number_of_any_client(value: Any, ms: int | None) -> None:
    assert milliseconds(value) == ms


@pytest.mark.parametrize("raw", [None, b"", b"{", b"[]", b"7", b"\xff", b'"x"'])
def test_options_that_cannot_be_read_are_none(raw: bytes | None) -> None:
    assert read_options(raw) == {}


@pytest.mark.parametrize(
    ("key", "legacy"),
    [
        ("nightly", False),
        ("a:b", False),
        ("tick:::UTC:* * * * *", True),
        ("tick:id:1768472430000::5000", True),
        ("a:b:c:d:e", False),
        ("a:b:x:d:5 5", False),
        ("a:b:1:d:", False),
    ],
)
def test_the_form_of_an_old_repeatable_job(key: str, legacy: bool) -> None:
    assert is_legacy(key) is legacy


def test_the_ids_of_runs() -> None:
    assert run_id("nightly", NOW) == f"repeat:nightly:{NOW}"
    assert slot_of(f"repeat:a:b:{NOW}") == NOW
    assert slot_of("42x") == 0
    assert count_of({"repeat": {"count": 3}}) == 3
    assert count_of({"repeat": 3}) is None
    assert count_of({}) is None


# When


@pytest.mark.parametrize(
    ("timing", "slot"),
    [
        (Timing("0 3 * * *"), at(2026, 1, 16, 3)),
        (Timing("0 3 * * *", tz="Asia/Tokyo"), at(2026, 1, 15, 18)),
        (Timing("0 3 * * *", start=at(2026, 2, 1)), at(2026, 2, 1, 3)),
        (Timing("0 3 * * *", start=at(2026, 2, 1, 3)), at(2026, 2, 1, 3)),  # the start itself counts
        (Timing("0 3 * * *", end=at(2026, 1, 16, 3)), at(2026, 1, 16, 3)),  # and so does the end
        (Timing("0 3 * * *", end=at(2026, 1, 16, 2)), None),
        (Timing(every=HOUR), NOW),
        (Timing(every=HOUR, start=NOW + 5), NOW + 5),
        (Timing(every=HOUR, start=NOW + 5, end=NOW + 4), None),
    ],
)
def test_the_first_slot(timing: Timing, slot: int | None) -> None:
    assert next_slot(timing, NOW) == slot


def test_the_slot_after_a_run() -> None:
    hourly = Timing("0 * * * *")
    assert slot_after(hourly, at(2026, 1, 15, 10), NOW) == at(2026, 1, 15, 11)
    assert slot_after(hourly, at(2026, 1, 15, 2), NOW) == at(2026, 1, 15, 11)  # those between are left out
    assert slot_after(hourly, at(2026, 1, 15, 12), NOW) == at(
        2026, 1, 15, 13
    )  # a slow clock makes no run twice
    assert slot_after(Timing(every=HOUR), NOW, NOW) == NOW + HOUR
    assert slot_after(Timing(every=HOUR, end=NOW + HOUR - 1), NOW, NOW) is None


def test_a_pattern_that_cannot_be_read_is_said() -> None:
    with pytest.raises(InvalidOptions, match="minute field"):
        next_slot(Timing("H * * * *"), NOW)


def test_the_limit() -> None:
    assert not is_used_up(Timing(), 1_000_000)
    assert not is_used_up(Timing(limit=3), 3)
    assert is_used_up(Timing(limit=3), 4)


# Written


def test_the_options_of_a_run() -> None:
    template = {"attempts": 3, "backoff": {"type": "fixed", "delay": 5}, "jobId": "old", "prevMillis": 1}
    options = run_options(
        "nightly", template, Timing("0 3 * * *", tz="UTC", limit=9), count=4, next_ms=NOW + 7, now_ms=NOW
    )
    assert options == {
        "attempts": 3, "backoff": {"type": "fixed", "delay": 5}, "jobId": f"repeat:nightly:{NOW + 7}",
        "repeat": {"pattern": "0 3 * * *", "tz": "UTC", "limit": 9, "count": 4},
        "delay": 7, "timestamp": NOW, "prevMillis": NOW + 7, "repeatJobKey": "nightly",
    }  # fmt: skip
    assert template_options(options) == {"attempts": 3, "backoff": {"type": "fixed", "delay": 5}}
    before = {"repeat": {"count": 3, "strategy": "moon", "immediately": True}}
    after = run_options("nightly", before, Timing(every=5), count=4, next_ms=NOW, now_ms=NOW)
    assert after["repeat"] == {"every": 5, "count": 4, "strategy": "moon"}
    late = run_options("pulse", {}, Timing(every=5), count=1, next_ms=NOW - 7, now_ms=NOW)
    assert (late["delay"], "prevMillis" in late) == (0, False)


NIGHTLY = Record("nightly", "build", Timing("0 3 * * *", tz="UTC"), '{"a":1}', {"attempts": 3}, 4, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"}, {"data": "{}"}, {"options": {}}, {"timing": Timing("0 4 * * *", tz="UTC")},
        {"timing": Timing("0 3 * * *", tz="UTC", limit=2)},
    ],
)  # fmt: skip
def test_a_change_is_seen(change: dict[str, Any]) -> None:
    assert not means_the_same(dataclasses.replace(NIGHTLY, **change), NIGHTLY)


def test_what_only_time_changes_is_no_change() -> None:
    assert means_the_same(dataclasses.replace(NIGHTLY, iterations=0, next=None), NIGHTLY)
    worked_out = dataclasses.replace(NIGHTLY, timing=Timing(every=5, offset=3))
    assert means_the_same(dataclasses.replace(NIGHTLY, timing=Timing(every=5)), worked_out)
    assert not means_the_same(dataclasses.replace(NIGHTLY, timing=Timing(every=5, offset=4)), worked_out)


def test_a_rhythm_is_not_its_bounds() -> None:
    timing = Timing("0 3 * * *", tz="UTC")
    assert same_rhythm(dataclasses.replace(timing, limit=5, end=NOW), timing)
    assert not same_rhythm(dataclasses.replace(timing, tz="Asia/Tokyo"), timing)
    assert not same_rhythm(dataclasses.replace(timing, start=NOW), timing)


def test_a_paused_record_is_written_as_it_is_read() -> None:
    paused = read_paused("nightly", paused_text(NIGHTLY, 5).encode())
    assert paused is not None
    assert paused.count == 5
    assert paused.record == dataclasses.replace(NIGHTLY, next=None, paused=True)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b'{"fields":[1],"count":1}', b'{"fields":["a"],"count":1}']
)
def test_a_paused_record_of_a_foreign_hand_is_none(raw: bytes) -> None:
    assert read_paused("nightly", raw) is None
