"""The documents of alerts in Redis: JSON of the dataclasses, read again by their types.

A newer version's fields are ignored, missing ones have their defaults, and what cannot be read at all counts
as not there, which costs one notice too many and is logged: alerts must come up again after anything.

Emits: alert_state_unreadable (warning; what).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
import structlog

from corral.observe.alerts.acknowledging import Acknowledgement
from corral.observe.alerts.ledger import Ledger
from corral.observe.alerts.machine import Event
from corral.observe.alerts.silence import Silence

log = structlog.get_logger(__name__)

T = TypeVar("T")

encoded = msgspec.json.Encoder().encode


def read_ledger(raw: bytes) -> Ledger:
    """The leader's document; an empty one for "" and what is unreadable."""
    return _read(raw, Ledger, "state") or Ledger()


def read_events(rows: Iterable[bytes]) -> list[Event]:
    """Entries of the history."""
    return [event for raw in rows if (event := _read(raw, Event, "history")) is not None]


def read_silences(rows: Iterable[bytes]) -> list[Silence]:
    """Silences, in the order of their ids."""
    found = [one for raw in rows if (one := _read(raw, Silence, "silence")) is not None]
    return sorted(found, key=lambda one: one.id)


def read_acknowledged(rows: Iterable[bytes]) -> list[Acknowledgement]:
    """Acknowledgements, in the order of their ids."""
    found = [one for raw in rows if (one := _read(raw, Acknowledgement, "acknowledgement")) is not None]
    return sorted(found, key=lambda one: one.id)


def _read(raw: bytes, kind: type[T], what: str) -> T | None:
    if not raw:
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        log.warning("alert_state_unreadable", what=what, error=type(error).__name__)
        return None


def as_json(value: Any) -> Any:
    """A dataclass as plain values."""
    return msgspec.to_builtins(value)
