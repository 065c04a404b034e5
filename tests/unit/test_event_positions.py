"""Positions in an event stream, and what becomes of a position when the stream changes."""

from __future__ import annotations

import pytest

from corral.bullmq.stream import START, Ends, Position, parse, text
from corral.errors import InvalidInput
from corral.events import Event, gap, make_event, pause, resume, start_of


@pytest.mark.parametrize(
    ("event_id", "position"),
    [("1700000000000-3", (1_700_000_000_000, 3)), ("0", START), ("17", (17, 0)), ("5-0", (5, 0))],
)
def test_ids_are_positions(event_id: str, position: Position) -> None:
    assert parse(event_id) == start_of(event_id) == position
    assert parse(text(position)) == position


@pytest.mark.parametrize("event_id", ["", "-", "-1", "1-x", "abc", "1-2-3", "\u0661", "9" * 23, f"1-{2**64}"])
def test_what_is_no_id_is_refused(event_id: str) -> None:
    assert parse(event_id) is None
    with pytest.raises(InvalidInput, match="after="):
        start_of(event_id)


def test_the_end_has_no_position_yet() -> None:
    assert start_of("$") is None


@pytest.mark.parametrize(
    ("position", "held", "expected"),
    [
        (START, Ends((5, 0), (9, 0)), (START, False)),
        (START, Ends(START, START), (START, False)),
        ((5, 0), Ends((5, 0), (9, 0)), ((5, 0), False)),
        ((9, 0), Ends((5, 0), (9, 0)), ((9, 0), False)),
        ((4, 9), Ends((5, 0), (9, 0)), ((4, 9), True)),  # trimmed
        ((9, 1), Ends((5, 0), (9, 0)), (START, True)),  # begun anew, with an earlier clock
        ((9, 1), Ends(START, START), (START, True)),  # emptied
    ],
)
def test_a_position_is_kept_while_the_stream_holds_it(
    position: Position, held: Ends, expected: tuple[Position, bool]
) -> None:
    assert resume(position, held) == expected


def test_an_event_has_its_names_apart_and_the_rest_as_it_came() -> None:
    fields = {"event": "completed", "jobId": "7", "returnvalue": "1", "prev": "active"}
    assert make_event(((1_500, 2), fields)) == Event(
        "1500-2", "completed", "7", 1.5, {"returnvalue": "1", "prev": "active"}
    )
    assert make_event(((0, 1), {})) == Event("0-1", "", None, 0.0, {})


def test_a_gap_lies_where_reading_goes_on() -> None:
    assert gap((4, 0), Ends((5_000, 0), (9_000, 0))) == Event("4-0", "gap", None, 5.0, {})


def test_waits_for_redis_grow_to_a_bound() -> None:
    assert [pause(n) for n in (0, 1, 2, 10_000)] == [0.1, 0.2, 0.4, 3.0]
