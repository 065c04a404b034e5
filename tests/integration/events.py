"""Events for the tests of the sinks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from corral.sinks.event import Event

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)


def event(number: int = 1, **changes: Any) -> Event:
    given = {"id": f"e-{number}", "name": "opened", "user_id": "user-42", "properties": {"n": number}}
    return Event(**{**given, "at": AT, "received_at": AT, **changes})


def some(count: int, **changes: Any) -> list[Event]:
    return [event(number, **changes) for number in range(count)]
