"""What is shown of an event, and which events are asked for. Pure.

Payload is what producers and handlers wrote: results, progress that is no number, the text of errors, and
whatever custom events carry. Ids, names, kinds, times and counts are none (as in `job_rows`).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from corral.api.streams import opened
from corral.events import GAP, Event
from corral.queue import Queue

#: Fields that BullMQ or Corral wrote, as everybody may see them.
PLAIN_FIELDS = frozenset(
    {"prev", "delay", "count", "attemptsMade", "deduplicationId", "deduplicatedJobId", "debounceId"}
)

#: The field of an event that holds payload, by its kind.
PAYLOAD_FIELDS = {"completed": "returnvalue", "failed": "failedReason", "progress": "data"}

#: Of a payload in a row: so many characters.
SHOWN_CHARS = 500

#: Of anything else that a producer may make long.
MOST_CHARS = 200

MOST_FACTS = 12


class QueueEventRow(msgspec.Struct, frozen=True, rename="camel"):
    """One event. `at`: epoch seconds. `name`: of its job, where known. facts: prev, delay, count, …

    detail: result (JSON), reason or progress, cut short; null if there is none. redacted: there is one, for
    those who may see payloads.
    """

    id: str
    queue: str
    kind: str
    at: float
    job: str | None
    name: str | None
    facts: dict[str, str]
    detail: str | None
    redacted: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: of these kinds (empty: all), of jobs of this name, of this job."""

    kinds: frozenset[str] = frozenset()
    name: str | None = None
    job: str | None = None

    def takes(self, event: Event) -> bool:
        """By all but the name, which most events do not carry."""
        return (not self.kinds or event.name in self.kinds) and (self.job is None or event.job_id == self.job)


def is_gap(event: Event) -> bool:
    """Whether it stands for events that may be missing; a custom event may be called so too."""
    return event.name == GAP and event.job_id is None and not event.fields


def event_row(queue: Queue, event: Event, name: str | None, *, payloads: bool) -> QueueEventRow:
    """The row of an event for somebody who may, or may not, see payloads."""
    held = PAYLOAD_FIELDS.get(event.name)
    plain = {} if _is_custom(event) else event.fields
    facts = {field: _cut(value) for field, value in plain.items() if field in PLAIN_FIELDS}
    detail = _payload(queue, event, held)
    may_see = payloads or (held == "data" and _is_number(detail))
    return QueueEventRow(
        id=event.id,
        queue=queue.name,
        kind=_cut(event.name),
        at=event.at,
        job=event.job_id,
        name=name,
        facts=facts,
        detail=detail if may_see else None,
        redacted=detail is not None and not may_see,
    )


#: Kinds that BullMQ and Corral write; all others are custom events of producers.
KINDS = frozenset({
    "added", "waiting", "waiting-children", "delayed", "active", "progress", "completed", "failed",
    "retries-exhausted", "stalled", "removed", "drained", "paused", "resumed", "cleaned", "duplicated",
    "deduplicated", "debounced",
})  # fmt: skip


def _is_custom(event: Event) -> bool:
    return event.name not in KINDS


def _payload(queue: Queue, event: Event, field: str | None) -> str | None:
    if field is not None:
        value = event.fields.get(field)
        if value is None or (field == "returnvalue" and value in ("null", "")):
            return None
        return _cut(opened(queue, event, field), SHOWN_CHARS)
    if not _is_custom(event) or not event.fields:
        return None
    some = {key: _cut(value) for key, value in list(event.fields.items())[:MOST_FACTS]}
    return _cut(msgspec.json.encode(some).decode(), SHOWN_CHARS)


def _is_number(text: str | None) -> bool:
    try:
        return text is not None and isinstance(msgspec.json.decode(text), int | float)
    except msgspec.DecodeError:
        return False


def _cut(text: str, limit: int = MOST_CHARS) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
