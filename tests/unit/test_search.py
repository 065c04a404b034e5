"""What a search looks for, and the cursor that lets it go on."""

from __future__ import annotations

from typing import Any

import pytest

from corral.bullmq.listing import SEGMENTS, Part, Place, Segment, parts, segments
from corral.errors import InvalidInput
from corral.search import Filter, Head, decode_cursor, encode_cursor

A, B, C = Segment("waiting", "a"), Segment("waiting", "b"), Segment("waiting", "c")


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Filter(), True),
        (Filter(name="send"), True),
        (Filter(name="sen"), False),
        (Filter(error="TIMED out"), True),
        (Filter(error="refused"), False),
        (Filter(added_after=10, added_before=10), True),
        (Filter(added_after=10.001), False),
        (Filter(added_before=9.999), False),
    ],
)
def test_what_a_job_says_of_itself(wanted: Filter, fits: bool) -> None:
    assert wanted.fits_head(Head(b"send", b"10000", b"It timed out.")) is fits


def test_a_job_that_says_nothing_fits_nothing_but_the_empty_filter() -> None:
    assert Filter().fits_head(Head())
    assert not Filter(name="x").fits_head(Head())
    assert not Filter(error="x").fits_head(Head(b"x", b"1"))
    assert not Filter(added_after=0).fits_head(Head(b"x", b"soon"))


def test_ids_by_any_part() -> None:
    assert Filter(id="ord").fits_id("order-7")
    assert Filter(id="-7").fits_id("order-7")
    assert not Filter(id="8").fits_id("order-7")


@pytest.mark.parametrize(
    ("where", "fits"),
    [
        ({"userId": 7}, True),
        ({"userId": 7.0}, True),
        ({"userId": "7"}, False),
        ({"active": True}, True),
        ({"active": 1}, False),
        ({"userId": 7, "active": False}, False),
        ({"items.1.sku": "B"}, True),
        ({"items.2.sku": "B"}, False),
        ({"items": [{"sku": "A"}, {"sku": "B"}]}, True),
        ({"nothing": None}, True),
        ({"missing": None}, False),
        ({"userId.deeper": 7}, False),
    ],
)
def test_values_in_the_data(where: dict[str, Any], fits: bool) -> None:
    raw = b'{"userId": 7, "active": true, "nothing": null, "items": [{"sku": "A"}, {"sku": "B"}]}'
    assert Filter(where=where).fits_data(raw) is fits


@pytest.mark.parametrize("raw", [None, b"", b"{broken", b"\xff"])
def test_data_that_cannot_be_read_fits_no_value(raw: bytes | None) -> None:
    assert not Filter(where={"a": 1}).fits_data(raw)
    assert Filter().fits_data(raw)


def test_a_cursor_holds_the_place() -> None:
    place = Place(2, 250, "repeat:nightly:17", 1.5e12)
    assert decode_cursor(encode_cursor(place, 10_250)) == (place, 10_250)
    assert decode_cursor(None) == (Place(), 0)


@pytest.mark.parametrize("cursor", ["", "x", "////", "k5M", encode_cursor(Place(-1, 0), 0), "ü"])
def test_no_cursor(cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        decode_cursor(cursor)


@pytest.mark.parametrize(
    ("start", "count", "expected"),
    [
        (0, 2, [Part(A, 0, 2)]),
        (2, 3, [Part(A, 2, 1), Part(C, 0, 2)]),
        (3, 9, [Part(C, 0, 5)]),
        (6, 1, [Part(C, 3, 1)]),
        (8, 5, []),
    ],
)
def test_a_page_may_span_segments(start: int, count: int, expected: list[Part]) -> None:
    assert parts([(A, 3), (B, 0), (C, 5)], start, count) == expected


def test_segments_are_walked_from_the_end_that_is_asked_for() -> None:
    assert [s.suffix for s in segments(["waiting", "failed"], newest_first=False)] == [
        "wait", "paused", "prioritized", "waiting-children", "failed",
    ]  # fmt: skip
    assert [s.suffix for s in segments(["waiting"], newest_first=True)] == [
        "waiting-children", "prioritized", "paused", "wait",
    ]  # fmt: skip
    assert {s.state for chosen in SEGMENTS.values() for s in chosen} == set(SEGMENTS) - {"prioritized"}
