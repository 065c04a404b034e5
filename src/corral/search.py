"""What a search looks for, and where it stopped. Pure: `corral.browse` reads what is looked at."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from corral.bullmq.listing import Place
from corral.data import decode_json
from corral.errors import InvalidData, InvalidInput


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

    @property
    def needs_head(self) -> bool:
        return (self.name, self.error, self.added_after, self.added_before) != (None, None, None, None)

    def fits_id(self, job_id: str) -> bool:
        return self.id is None or self.id in job_id

    def fits_head(self, name: bytes | None, timestamp: bytes | None, reason: bytes | None) -> bool:
        """Does what a job's hash says of itself fit?"""
        if self.name is not None and (name or b"").decode(errors="replace") != self.name:
            return False
        if self.error is not None:
            text = (reason or b"").decode(errors="replace")
            if self.error.casefold() not in text.casefold():
                return False
        if self.added_after is None and self.added_before is None:
            return True
        try:
            added = float(timestamp or b"") / 1000
        except ValueError:
            return False
        lowest = added if self.added_after is None else self.added_after
        highest = added if self.added_before is None else self.added_before
        return lowest <= added <= highest

    def fits_data(self, raw: bytes | None) -> bool:
        """Has the data these values at these paths?"""
        if not self.where:
            return True
        try:
            data = decode_json(raw or b"null")
        except InvalidData:
            return False
        return all(_same(_dig(data, path), value) for path, value in self.where.items())


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
