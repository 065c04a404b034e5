"""The history of a job's runs: how each one went that did not complete it. A field of the job's hash.

BullMQ keeps the times of the last run alone. step.lua adds a row for each run that ended in a retry, a dead
letter or a put-back, in the call that settles it, and for each that died, in the call that fetches the job
again; see step_noting.lua. A run that completes its job is told by the record itself and costs nothing. The
oldest rows go once all are longer than the script's RUNS_BYTES: some 20 stay. Node ignores the field.

Row: JSON [start_ms, end_ms, worker, outcome, spent, wait_ms, error class, message]; a newline between two.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import msgspec

FIELD = "corral:attempts"

#: failed: it runs again. dead: to the dead letters. died: its process died or stalled. snoozed, signal, held
#: (by a breaker), stopped (with its worker): back, unspent.
RunOutcome = Literal["failed", "dead", "cancelled", "snoozed", "signal", "held", "stopped", "died"]

#: The whole message is in the stack trace.
MESSAGE_LIMIT = 200
CLASS_LIMIT = 100

_OUTCOMES = frozenset(get_args(RunOutcome))
_encode = msgspec.json.Encoder().encode


class Run(NamedTuple):
    """One row. Times in epoch seconds; wait: seconds until it was to run again. None: not known."""

    started_at: float | None
    ended_at: float | None
    worker: str
    outcome: RunOutcome
    spent: bool
    wait: float | None
    error_type: str
    message: str


def note(
    outcome: RunOutcome,
    *,
    spent: bool = False,
    wait_ms: int | None = None,
    error: BaseException | None = None,
    message: str = "",
) -> str:
    """What a worker says of a run; the script adds the times and the worker. `message`: fit for JSON."""
    error_type = "" if error is None else type(error).__name__[:CLASS_LIMIT]
    return _encode([outcome, spent, wait_ms, error_type, message[:MESSAGE_LIMIT]])[1:-1].decode()


def read(raw: bytes | None) -> list[Run]:
    """The rows of the field, the newest last. One that is not as it should be is left out."""
    return [run for row in (raw or b"").split(b"\n") if (run := _read(row)) is not None]


def _read(row: bytes) -> Run | None:
    try:
        start, end, worker, outcome, spent, wait, error_type, message = msgspec.json.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, TypeError):
        return None
    if outcome not in _OUTCOMES:
        return None
    return Run(
        started_at=_seconds(start),
        ended_at=_seconds(end),
        worker=str(worker),
        outcome=outcome,
        spent=spent is True,
        wait=None if outcome == "died" else _seconds(wait),  # there it says which death this was
        error_type=str(error_type),
        message=str(message),
    )


def _seconds(milliseconds: object) -> float | None:
    return milliseconds / 1000 if isinstance(milliseconds, (int, float)) else None
