"""Where a reader of several queues' event streams stands, as one text; and how much it has missed. Pure.

The text goes out with each batch as its id: `name:position:ordinal` for each queue, with commas. The ordinal
says which of all events that the stream ever took the position is: what was trimmed away can be counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from corral.bullmq import stream
from corral.bullmq.stream import START, Entry, Position
from corral.errors import InvalidInput


@dataclass(slots=True)
class Place:
    """After which event a reader stands; `ordinal` None: how many there were before is not known."""

    position: Position = START
    ordinal: int | None = None
    #: While a gap is measured: up to which event, which of all it is, and how many came since the gap.
    _until: Position | None = None
    _ordinal_there: int = 0
    _came: int = 0

    def gap(self, last: Position, added: int | None) -> Missed | None:
        """Some may be missing before the next event. `last`, `added`: the stream's last event, and how many
        it ever took. The answer now, if it cannot be counted; else `passed` has it, when `last` has come."""
        if self.ordinal is None or added is None or added < self.ordinal or last <= self.position:
            self.ordinal = self._until = None
            return Missed(None)
        self._until, self._ordinal_there, self._came = last, added, 0
        return None

    def text(self) -> str:
        return f"{stream.text(self.position)}:{'' if self.ordinal is None else self.ordinal}"

    def passed(self, position: Position) -> Missed | None:
        """The next event was read. What was missed, once that is certain; nothing is no answer."""
        self.position = position
        if self._until is None:
            if self.ordinal is not None:
                self.ordinal += 1
            return None
        if position <= self._until:
            self._came += 1
        if position < self._until:
            return None
        before = self.ordinal or 0
        missed = self._ordinal_there - before - self._came
        self.ordinal = self._ordinal_there + (position > self._until)
        self._until = None
        if missed < 0:  # the stream began anew in between
            self.ordinal = None
            return Missed(None)
        return Missed(missed) if missed else None


@dataclass(frozen=True, slots=True)
class Missed:
    """So many events are gone; None: some may be."""

    count: int | None


def encode(places: dict[str, Place]) -> str:
    return ",".join(f"{quote(name, safe='')}:{place.text()}" for name, place in places.items())


def decode(text: str) -> tuple[dict[str, Place], Position | None]:
    """The places of an id that was sent, or one position for all queues. Raises InvalidInput."""
    text = text.strip()
    plain = stream.parse(text)
    if plain is not None:
        return {}, plain
    places = {}
    for part in text.split(","):
        name, _, rest = part.partition(":")
        at, _, ordinal = rest.partition(":")
        position = stream.parse(at)
        if not name or position is None or not (ordinal == "" or (ordinal.isascii() and ordinal.isdecimal())):
            raise InvalidInput("after is no id of this stream. Leave it out to begin anew.")
        places[unquote(name)] = Place(position, int(ordinal) if ordinal else None)
    return places, None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Before which event a page of past events begins: by its position, then by its queue's name."""

    position: Position
    queue: str

    def bound(self, queue: str) -> Position:
        """Up to which event, itself included, this queue's events come after the cursor."""
        return self.position if queue > self.queue else stream.previous(self.position)

    def text(self) -> str:
        return f"{stream.text(self.position)}:{self.queue}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises InvalidInput."""
        at, _, queue = text.partition(":")
        position = stream.parse(at)
        if position is None or not queue:
            raise InvalidInput("before is no cursor of this list. Leave it out to begin with the newest.")
        return cls(position, queue)


def merge(parts: Iterable[tuple[str, list[Entry], bool]]) -> tuple[list[tuple[str, Entry]], bool]:
    """Parts of streams, each newest first, as one list, newest first; and whether there is more after it.

    A part is a queue's name, its entries, and whether there are more. What is older than the oldest entry of
    a part that has more is left to the next page: others may belong in between.
    """
    parts = list(parts)
    rows = [(_newest_last(name, entry[0]), name, entry) for name, entries, _ in parts for entry in entries]
    ends = [_newest_last(name, entries[-1][0]) for name, entries, more in parts if more and entries]
    horizon = max(ends, default=None)
    rows = sorted((row for row in rows if horizon is None or row[0] >= horizon), reverse=True)
    return [(name, entry) for _, name, entry in rows], horizon is not None


def _newest_last(queue: str, position: Position) -> tuple[Position, tuple[int, ...]]:
    """Sorts by position; of one position, the name that comes first sorts last."""
    return position, (*(-ord(c) for c in queue), 1)
