"""An event as every sink takes it, what a sink answers, and what every sink can do. Pure.

Guarantees that every sink gives: an event whose index is not among the rejected ones is stored when `write`
returns; writing an event again does not count it twice (by its id, as far as the place itself removes
repeats).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec

from corral.providers.errors import ProviderError


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that happened. `at` and `received_at` are in UTC.

    id: the same for every attempt to store it.
    received_at: when the job was added.
    """

    id: str
    name: str
    user_id: str | None
    properties: dict[str, Any]
    at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that a sink did not take. `error` says why, and whether another try can help."""

    index: int
    error: ProviderError


class Sink(Protocol):
    """A place for events."""

    #: What CORRAL_ANALYTICS_SINK, errors and results call it.
    name: str

    async def write(self, events: Sequence[Event]) -> list[Rejected]:
        """Store events. Returns those that were not stored; the others are.

        Raises a provider error if none was. Never `ProviderAmbiguous`: repeating a write is harmless.
        """
        ...

    async def close(self) -> None:
        """Close the connections that are its own."""
        ...


def utc_text(moment: datetime) -> str:
    """A moment in UTC as ISO 8601 with milliseconds and Z: it sorts, and everybody reads it."""
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"
