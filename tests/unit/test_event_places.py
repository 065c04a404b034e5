"""Where readers of event streams stand: ids that lead back, what is missing, streams as one list."""

from __future__ import annotations

import pytest

from corral.bullmq.stream import START, Entry, previous
from corral.errors import InvalidInput
from corral.events import Event
from corral.manage.events_gathering import Gathering
from corral.manage.events_places import Cursor, Missed, Place, decode, encode, merge


def test_an_id_leads_back_to_every_place() -> None:
    places = {"e,m:a il~": Place((5, 1), 12), "reports": Place((7, 0), None)}
    assert decode(encode(places)) == (places, None)
    assert encode(places).isascii()
    assert decode("17-3") == ({}, (17, 3))


@pytest.mark.parametrize("text", ["", "x", "q:1-1:x", "q:-:", ":1-1:", "q:1-1:1,", "q:1-1:\u0661"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        decode(text)


def test_what_is_missing_is_counted_when_the_end_that_was_seen_has_come() -> None:
    place = Place((5, 0), 10)
    assert place.gap((9, 0), 20) is None
    assert [place.passed((n, 0)) for n in (7, 8)] == [None, None]
    assert place.passed((9, 0)) == Missed(7)
    assert place.ordinal == 20
    assert place.passed((10, 0)) is None
    assert place.ordinal == 21


def test_it_is_counted_too_if_the_end_was_trimmed_away_itself() -> None:
    place = Place((5, 0), 10)
    place.gap((9, 0), 20)
    assert place.passed((12, 0)) == Missed(10)
    assert place.ordinal == 21


def test_a_gap_in_which_nothing_is_missing_is_none() -> None:
    place = Place((5, 0), 10)
    place.gap((6, 0), 11)
    assert place.passed((6, 0)) is None


@pytest.mark.parametrize(
    ("ordinal", "last", "added"), [(None, (9, 0), 20), (10, (9, 0), None), (10, (9, 0), 3), (10, START, 0)]
)
def test_what_cannot_be_counted_is_told_as_such(
    ordinal: int | None, last: tuple[int, int], added: int | None
) -> None:
    place = Place((5, 0), ordinal)
    assert place.gap(last, added) == Missed(None)
    assert place.passed((6, 0)) is None


def rows(*positions: int) -> list[Entry]:
    return [((p, 0), {"event": "e"}) for p in positions]


def test_streams_become_one_list_up_to_where_all_are_known() -> None:
    merged, more = merge([("a", rows(9, 5, 3), True), ("b", rows(8, 3, 1), False)])
    assert [(name, entry[0][0]) for name, entry in merged] == [("a", 9), ("b", 8), ("a", 5), ("a", 3)]
    assert more


def test_a_cursor_loses_no_event_of_the_same_moment() -> None:
    cursor = Cursor.parse(Cursor((3, 0), "b").text())
    assert [cursor.bound(name) for name in ("a", "b", "c")] == [(2, 2**64 - 1)] * 2 + [(3, 0)]
    assert (previous((3, 4)), previous(START)) == ((3, 3), START)


def event(kind: str, number: int) -> Event:
    return Event(f"{number}-0", kind, str(number), number, {})


def test_of_a_burst_the_rare_and_the_newest_are_kept_in_order() -> None:
    gathering = Gathering(3)
    for number, kind in enumerate(["failed", "active", "active", "completed", "active"]):
        gathering.take("q", event(kind, number))
    chosen, left = gathering.drain()
    assert [(one.name, one.at) for _, one in chosen] == [("failed", 0), ("completed", 3), ("active", 4)]
    assert left == {"active": 2}
    assert gathering.drain() == ([], {})
