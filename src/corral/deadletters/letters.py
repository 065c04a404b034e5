"""One dead letter as an operator reads it: what it was, how each attempt ended, what stands behind it.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from corral.bullmq.codec import JobRecord
from corral.data import decode_json
from corral.deadletters.fingerprint import fingerprint, own_frame, shown
from corral.deadletters.stacks import read_stack
from corral.errors import InvalidData

#: How the reason of a job that a breaker held for too long says which one it was: see
#: `breaker.expired_reason`.
_HELD = re.compile(r"^Held for [\d.]+ h, and (?P<breaker>\S+) is still out of order")


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended. number: counted from 1. error, frame: as far as the trace says. trace: the
    text.
    """

    number: int
    error: str
    frame: str
    trace: str


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. Times are epoch seconds.

    group: its fingerprint. attempts: the last of them (BullMQ keeps ten), the oldest first.
    waited: seconds from when it was added until its last run began; ran: seconds of its last run, as far as
    known. BullMQ keeps no times of earlier runs.
    data: plain JSON, or its text if it cannot be read; checkpoint: what the handler had kept.
    edited: its data is not what it came with, see `dead.original`.
    breaker: the breaker that held it for too long, or ""; breaker_open: that one is open now.
    logs: the newest rows of its log, of `log_rows`.
    """

    queue: str
    id: str
    name: str
    group: str
    reason: str
    cancelled: bool
    attempts_made: int
    attempts: Sequence[Attempt]
    enqueued_at: float | None
    started_at: float | None
    finished_at: float | None
    waited: float | None
    ran: float | None
    processed_by: str | None
    priority: int
    stalled: int
    data: Any
    checkpoint: Any
    progress: Any
    edited: bool
    parent: str
    breaker: str
    breaker_open: bool
    logs: Sequence[str]
    log_rows: int


def group_of(record: JobRecord) -> str:
    """The id of the group that a failed job belongs to."""
    return fingerprint(
        record.name, record.failed_reason or "", record.stacktrace, cancelled=record.cancelled
    ).id


def attempts_of(record: JobRecord) -> list[Attempt]:
    """The attempts whose traces are kept."""
    first = max(record.attempts_made, len(record.stacktrace)) - len(record.stacktrace) + 1
    attempts = []
    for number, trace in enumerate(record.stacktrace, first):
        stack = read_stack(trace)
        frame = own_frame(stack)
        attempts.append(Attempt(number, stack.error, shown(frame) if frame else "", trace))
    return attempts


def breaker_behind(reason: str) -> str:
    """The breaker that held a job for as long as a job may be held, or ""."""
    found = _HELD.match(reason)
    return found["breaker"] if found else ""


def span(start: float | None, end: float | None) -> float | None:
    """Seconds between two moments; None if one is not known, or a clock was wrong."""
    return None if start is None or end is None or end < start else round(end - start, 3)


def plain(raw: bytes | None) -> Any:
    """JSON of whoever wrote it; what is none is shown as its text."""
    if raw is None:
        return None
    try:
        return decode_json(raw)
    except InvalidData:
        return raw.decode(errors="replace")
