"""Every run of a job that is known of, as the job page shows it. Pure; `job_view` reads.

Three sources, joined: the history in the job (see `bullmq.attempts`), BullMQ's record of the last run, and
the stack traces of failed ones. What Node's workers ran has traces alone, so such a run comes without times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from corral.bullmq.attempts import Run, RunOutcome
from corral.bullmq.codec import JobRecord
from corral.manage.job_rows import error_type

#: Besides those of the history. running, completed: the last one. children: it left its place to wait for
#: them. back: it went back unspent, and nothing says why.
Outcome = RunOutcome | Literal["running", "completed", "children", "back"]

#: A life of a job ends with these; retried by hand, it counts its attempts anew.
_LAST = ("dead", "cancelled")


class JobRun(msgspec.Struct, frozen=True, rename="camel"):
    """A run. Times in epoch seconds, null where not known. number: the attempt that it was; null: runs
    before it are not kept. wait: seconds until the next was due. message and trace are null for who may not
    see payloads.
    """

    number: int | None
    started_at: float | None
    ended_at: float | None
    worker: str
    outcome: Outcome
    spent: bool
    wait: float | None
    error_type: str
    message: str | None
    trace: str | None


class _Known(msgspec.Struct):
    run: Run
    outcome: Outcome
    trace: str | None = None
    number: int | None = None


def runs_of(
    record: JobRecord, status: str, history: Sequence[Run], *, cancelled: bool, payloads: bool
) -> list[JobRun]:
    """The oldest first."""
    known = [_Known(run, run.outcome) for run in history]
    last = _last(record, status, history, cancelled=cancelled)
    if last is not None:
        known.append(last)
    known = _with_traces(known, record.stacktrace)
    _count(known, record.attempts_made - (status == "completed"))
    return [
        JobRun(
            number=one.number,
            started_at=one.run.started_at,
            ended_at=one.run.ended_at,
            worker=one.run.worker,
            outcome=one.outcome,
            spent=one.run.spent,
            wait=one.run.wait,
            error_type=one.run.error_type or ("" if one.trace is None else error_type(one.trace)),
            message=one.run.message if payloads else None,
            trace=one.trace if payloads else None,
        )
        for one in known
    ]


def _last(record: JobRecord, status: str, history: Sequence[Run], *, cancelled: bool) -> _Known | None:
    """The run that BullMQ keeps the times of, unless the history has it."""
    started = record.started_at
    if started is None or any(_same(run.started_at, started) for run in history):
        return None
    outcome: Outcome
    if status == "active":
        outcome = "running"
    elif status == "completed":
        outcome = "completed"
    elif status == "failed":
        outcome = "cancelled" if cancelled else "dead"
    elif record.stalled_count > sum(run.outcome == "died" for run in history):
        outcome = "died"
    elif status == "waiting-children":
        outcome = "children"
    elif record.attempts_made > sum(run.spent for run in history):
        outcome = "failed"
    else:
        outcome = "back"
    ended = record.finished_at if status in ("completed", "failed") else None
    message = (record.failed_reason or "") if outcome in ("dead", "cancelled", "failed") else ""
    spent = outcome in ("completed", "dead", "cancelled", "failed")
    run = Run(started, ended, record.processed_by or "", "failed", spent, None, "", message)
    return _Known(run, outcome)


def _same(one: float | None, other: float) -> bool:
    return one is not None and abs(one - other) < 0.0005


def _with_traces(known: list[_Known], traces: Sequence[str]) -> list[_Known]:
    """Each trace at its run, from the newest back. A trace without one is a run of its own, without times."""
    left = list(traces)
    found: list[_Known] = []
    for one in reversed(known):
        if left and one.run.spent and one.outcome not in ("completed", "running"):
            while left and not _fits(one, left[-1]) and len(left) > 1:
                found.append(_untold(left.pop()))
            if _fits(one, left[-1]):
                one.trace = left.pop()
        found.append(one)
    found += [_untold(trace) for trace in reversed(left)]
    return found[::-1]


def _fits(one: _Known, trace: str) -> bool:
    name = error_type(trace).rpartition(".")[2]
    return not one.run.error_type or not name or one.outcome == "cancelled" or name == one.run.error_type


def _untold(trace: str) -> _Known:
    message = trace.rstrip().rpartition("\n")[2].partition(": ")[2]
    return _Known(Run(None, None, "", "failed", True, None, "", message), "failed", trace)


def _count(known: list[_Known], failed: int) -> None:
    """Number them within each life. failed: attempts spent by now, without a completed one."""
    lives: list[list[_Known]] = [[]]
    for one in known:
        lives[-1].append(one)
        if one.outcome in _LAST:
            lives.append([])
    if not lives[-1]:
        lives.pop()
    for n, life in enumerate(lives):
        spent = sum(one.run.spent and one.outcome != "completed" for one in life)
        newest = n == len(lives) - 1
        before = failed - spent if newest else 0
        # What was trimmed may have had any number of attempts.
        number = None if before < 0 or (n == 0 and not newest) else before + 1
        if n == 0 and not newest and life and life[-1].outcome in _LAST:
            number = 1
        for one in life:
            one.number = number
            if number is not None and one.run.spent:
                number += 1
