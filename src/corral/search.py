"""What a search looks for, and where it stopped. Pure: `corral.browse` reads what is looked at."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from corral.bullmq.listing import Place
from corral.data import decode_json
from corral.errors import InvalidData, InvalidInput


class Head(NamedTuple):
    """What a job's hash says of itself, as it is stored, but for its data."""

    name: bytes | None = None
    timestamp: bytes | None = None
    reason: bytes | None = None
    attempts: bytes | None = None
    priority: bytes | None = None
    group: bytes | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """What a job must be like; None and empty ask for nothing."""

    name: str | None = None
    #: Part of the id.
    id: str | None = None
    #: Part of the reason for which it failed last; case does not matter.
    error: str | None = None
    #: Epoch seconds; both bounds belong to it.
    added_after: float | None = None
    added_before: float | None = None
    #: Paths into the data and the values there: `{"user.id": 7, "items.0.sku": "A1"}`.
    where: Mapping[str, Any] = field(default_factory=dict)
    #: Attempts made and priority, each bound belongs to it; a job without a priority has 0.
    attempts_min: int | None = None
    attempts_max: int | None = None
    priority_min: int | None = None
    priority_max: int | None = None
    #: The whole name of the group it shares the queue in.
    group: str | None = None

    @property
    def needs_head(self) -> bool:
        asked = (
            self.name, self.error, self.added_after, self.added_before, self.attempts_min,
            self.attempts_max, self.priority_min, self.priority_max, self.group,
        )  # fmt: skip
        return any(one is not None for one in asked)

    def fits_id(self, job_id: str) -> bool:
        return self.id is None or self.id in job_id

    def fits_head(self, head: Head) -> bool:
        """Does what a job's hash says of itself fit?"""
        if self.name is not None and _text(head.name) != self.name:
            return False
        if self.group is not None and _text(head.group) != self.group:
            return False
        if self.error is not None and self.error.casefold() not in _text(head.reason).casefold():
            return False
        return (
            _within(head.timestamp, self.added_after, self.added_before, unit=1000)
            and _within(head.attempts or b"0", self.attempts_min, self.attempts_max)
            and _within(head.priority or b"0", self.priority_min, self.priority_max)
        )

    def fits_data(self, raw: bytes | None) -> bool:
        """Has the data these values at these paths?"""
        if not self.where:
            return True
        try:
            data = decode_json(raw or b"null")
        except InvalidData:
            return False
        return all(_same(_dig(data, path), value) for path, value in self.where.items())


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode(errors="replace")


def _within(raw: bytes | None, lowest: float | None, highest: float | None, *, unit: int = 1) -> bool:
    if lowest is None and highest is None:
        return True
    try:
        value = float(raw or b"") / unit
    except ValueError:
        return False
    return (lowest is None or lowest <= value) and (highest is None or value <= highest)


_NOTHING = object()


def _dig(data: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(data, dict):
            data = data.get(part, _NOTHING)
        elif isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            return _NOTHING
    return data


def _same(found: Any, wanted: Any) -> bool:
    # To Python True is 1; to whoever searches it is not.
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    segment: int
    offset: int
    last_id: str
    last_score: float
    searched: int


def encode_cursor(place: Place, searched: int) -> str:
    """Where a search stopped, as text that fits into a URL."""
    raw = msgspec.msgpack.encode(_Cursor(*place, searched))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> tuple[Place, int]:
    """Where to go on, and how many jobs were looked at up to there. Raises InvalidInput."""
    if cursor is None:
        return Place(), 0
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        read = msgspec.msgpack.decode(raw, type=_Cursor)
    except (msgspec.DecodeError, binascii.Error, ValueError):
        raise InvalidInput("This is no cursor of a search. Start without one.") from None
    if min(read.segment, read.offset, read.searched) < 0:
        raise InvalidInput("This is no cursor of a search. Start without one.")
    return Place(read.segment, read.offset, read.last_id, read.last_score), read.searched
