"""Schedules as the management API tells them, and the wishes it takes. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from corral.bullmq.schedule_runs import Run
from corral.cron import DEFAULT_ZONE, next_run, next_runs
from corral.errors import InvalidOptions
from corral.schedule_options import ScheduleOptions
from corral.schedule_words import in_words
from corral.schedules import Schedule

#: Ticks of a late schedule that are counted.
MOST_MISSED = 100


class RunRow(msgspec.Struct, frozen=True, rename="camel"):
    """A run that was: planned for `slot`. outcome: completed, failed, running, waiting; epoch seconds."""

    job_id: str
    slot: float
    outcome: str
    started_at: float | None
    ended_at: float | None
    error: str | None


class ScheduleRow(msgspec.Struct, frozen=True, rename="camel"):
    """One schedule. Times in epoch seconds, durations in seconds.

    words: its rhythm. nextRun null: paused, over, or its run has just started. lateSeconds: how long the run
    that is due has waited to be taken; null: it is on time. missed: ticks since then, which nobody makes up
    for, 100 at most. last: how the last run that started went, if its
    job is still there. iterations: runs made, the pending one included.
    """

    queue: str
    id: str
    name: str
    words: str
    cron: str | None
    every: float | None
    tz: str
    offset: float | None
    start: float | None
    end: float | None
    limit: int | None
    iterations: int
    next_run: float | None
    last_run: float | None
    late_seconds: float | None
    missed: int
    paused: bool
    last: RunRow | None


class ScheduleList(msgspec.Struct, frozen=True, rename="camel"):
    """The next to run first. `at`: the server's time. total: all there are, be they more than the rows.

    whole: false until all that Redis holds was looked at once after a start: there may be more queues.
    """

    at: float
    whole: bool
    total: int
    schedules: list[ScheduleRow]


class ScheduleDetail(msgspec.Struct, frozen=True, rename="camel"):
    """A schedule with what comes and what was, newest result first. runs: ISO times in the asked zone.

    data: of its jobs; null, with dataShown false, for who may not see payloads.
    """

    schedule: ScheduleRow
    zone: str
    runs: list[str]
    results: list[RunRow]
    data_shown: bool
    data: Any


class ScheduleWish(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """When a schedule runs: `cron` with `tz`, or `every` seconds with `offset`. start, end: epoch seconds.

    name: of its jobs; needed for a new one, and what it is for one that is there. data left out: as it was.
    """

    name: str = ""
    cron: str | None = None
    every: float | None = None
    tz: str | None = None
    offset: float | None = None
    start: float | None = None
    end: float | None = None
    limit: int | None = None
    data: Any = msgspec.UNSET


class Preview(msgspec.Struct, frozen=True, rename="camel"):
    """What a wish would come to. runs: ISO times in the asked zone; empty: it has none."""

    words: str
    zone: str
    runs: list[str]


class Queued(msgspec.Struct, frozen=True, rename="camel"):
    """The job that was added."""

    queue: str
    job_id: str


def slots_before(schedule: Schedule, count: int) -> list[int]:
    """When the last `count` runs were planned, newest first, in epoch milliseconds; the last is known."""
    last = schedule.last_run
    if last is None:
        return []
    newest = round(last.timestamp() * 1000)
    if schedule.every is not None:
        return [newest - k * round(schedule.every * 1000) for k in range(count)]
    if schedule.cron is None:
        return [newest]
    # No search goes backwards: take a stretch before, as long as the runs from there on are apart.
    ahead = next_runs(schedule.cron, schedule.tz, last, 2)
    apart = ahead[-1] - last if ahead else timedelta(days=1)
    earlier = next_runs(schedule.cron, schedule.tz, last - apart * count, 4 * count)
    before = [round(run.timestamp() * 1000) for run in earlier if run < last]
    return [newest, *before[::-1][: count - 1]]


def missed_ticks(schedule: Schedule, late_seconds: float) -> int:
    """Ticks that went by while the run that is due waits, itself not counted; MOST_MISSED at most."""
    if schedule.every is not None:
        return min(MOST_MISSED, int(late_seconds // schedule.every))
    due = schedule.next_run
    if schedule.cron is None or due is None:
        return 0
    now = due + timedelta(seconds=late_seconds)
    missed = 0
    while (
        missed < MOST_MISSED and (run := next_run(schedule.cron, schedule.tz, due)) is not None and run <= now
    ):
        missed, due = missed + 1, run
    return missed


def row_of(queue: str, one: Schedule, late_ms: int | None, last: RunRow | None) -> ScheduleRow:
    return ScheduleRow(
        queue=queue,
        id=one.id,
        name=one.name,
        words=_words(one),
        cron=one.cron,
        every=one.every,
        tz=one.tz,
        offset=one.offset,
        start=_epoch(one.start),
        end=_epoch(one.end),
        limit=one.limit,
        iterations=one.iterations,
        next_run=_epoch(one.next_run),
        last_run=_epoch(one.last_run),
        late_seconds=None if late_ms is None else late_ms / 1000,
        missed=0 if late_ms is None else missed_ticks(one, late_ms / 1000),
        paused=one.paused,
        last=last,
    )


def _words(one: Schedule) -> str:
    try:
        return in_words(cron=one.cron, every=one.every)
    except InvalidOptions:  # of a client that knows more of cron than we do
        return one.cron or ""


def run_row(end: Run) -> RunRow:
    if end.finished is None:
        outcome = "waiting" if end.started is None else "running"
    else:
        outcome = "completed" if end.error is None else "failed"
    return RunRow(
        job_id=end.job_id,
        slot=end.slot / 1000,
        outcome=outcome,
        started_at=None if end.started is None else end.started / 1000,
        ended_at=None if end.finished is None else end.finished / 1000,
        error=end.error,
    )


def options_of(wish: ScheduleWish) -> ScheduleOptions:
    options = ScheduleOptions(
        cron=wish.cron,
        every=wish.every,
        tz=wish.tz if wish.cron is not None else None,
        offset=wish.offset,
        start=_moment("start", wish.start),
        end=_moment("end", wish.end),
        limit=wish.limit,
    )
    if wish.data is not msgspec.UNSET:
        options["data"] = wish.data
    return options


def first_run(wish: ScheduleWish, after: datetime) -> datetime | None:
    """When a new schedule's first run is due."""
    if wish.cron is not None:
        runs = next_runs(wish.cron, wish.tz or DEFAULT_ZONE, after, 1)
        return runs[0] if runs else None
    return after


def _moment(name: str, seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidOptions(f"{name}={seconds}: a moment in epoch seconds.") from None


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
