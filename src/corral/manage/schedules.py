"""Schedules: list over all queues, show with runs and results, run, pause, resume, change, create, remove.

An id may hold any character where BullMQ made the schedule, so it is a query parameter, not a part of a path.
Data of a schedule's jobs is shown to those who may see payloads; who changes a schedule without giving data
leaves it as it was. Every change is in the audit log.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.bullmq import schedule_runs, standings
from corral.bullmq.clock import server_seconds
from corral.bullmq.schedule_runs import Run
from corral.cron import DEFAULT_ZONE, next_run, next_runs
from corral.errors import InvalidOptions, ScheduleNotFound, WrongState
from corral.manage.queues import known_queues
from corral.manage.service import Actor, Management, asks_for
from corral.queue import Queue
from corral.schedule_options import ScheduleOptions, check_schedule
from corral.schedule_words import in_words
from corral.schedules import Schedule

#: Rows of one answer; those that run next come first.
MOST_ROWS = 500

#: Runs shown ahead, and results shown behind.
RUNS = 5

#: Ticks of a late schedule that are counted.
MOST_MISSED = 100

#: Queues that are read at the same time.
AT_ONCE = 20

WATCH, OPERATE = asks_for(Permission.WATCH), asks_for(Permission.OPERATE)


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
    """The next to run first. `at`: the server's time. total: all there are, be they more than the rows."""

    at: float
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


@get("/schedules", guards=[WATCH], tags=["schedules"])
async def list_schedules(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    queue: FromQuery[str | None] = None,
) -> ScheduleList:
    """The schedules of all queues, or of one. Three round trips, and three for queues that have some."""
    queues = await known_queues(request, management) if queue is None else [management.queue(queue)]
    async with answering():
        now = await server_seconds(management.client)
        counts = await schedule_runs.how_many(management.client, [q.keys() for q in queues])
        having = [q for q, count in zip(queues, counts, strict=True) if count]
        rows = await _rows(management, having)
    return ScheduleList(now, sum(counts), rows[:MOST_ROWS])


@get("/queues/{queue:str}/schedule", guards=[WATCH], tags=["schedules"])
async def read_schedule(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    id: Annotated[str, QueryParameter()],  # noqa: A002  # the name that callers see
    zone: FromQuery[str | None] = None,
) -> ScheduleDetail:
    """One schedule, its next five runs in a zone (its own without one), and its last results."""
    chosen = management.queue(queue)
    async with answering():
        found = await _find(chosen, id)
        slots = slots_before(found, RUNS)
        ends = await schedule_runs.ends(chosen.client(), [(chosen.keys(), id, slot) for slot in slots])
        late = (await standings.read_sides(chosen.client(), [chosen.keys()]))[0].late
    results = [_run(end) for end in ends if end is not None]
    shown = Permission.READ_PAYLOADS in actor.permissions
    return ScheduleDetail(
        schedule=_row(chosen.name, found, late.get(id), results[0] if results else None),
        zone=zone or found.tz,
        runs=[run.isoformat() for run in found.next_runs(RUNS, zone)],
        results=results,
        data_shown=shown,
        data=found.data if shown else None,
    )


@post("/schedules/preview", guards=[WATCH], tags=["schedules"], status_code=200)
async def preview_schedule(data: JSONBody[ScheduleWish], zone: FromQuery[str | None] = None) -> Preview:
    """What a rhythm means, before it is saved: words and the next five runs. 422: it is wrong."""
    wanted = _options(data)
    check_schedule("preview", wanted)
    start = wanted.get("start")
    now = datetime.now(UTC)
    planned = Schedule(
        id="preview", name=data.name, data=None, cron=data.cron, every=data.every, tz=data.tz or DEFAULT_ZONE,
        offset=data.offset, start=start, end=wanted.get("end"), limit=data.limit, iterations=0,
        next_run=_first(data, max(now, start) if start else now), last_run=None, paused=False,
    )  # fmt: skip
    runs = planned.next_runs(RUNS, zone)
    words = in_words(cron=data.cron, every=data.every)
    return Preview(words, zone or planned.tz, [run.isoformat() for run in runs])


@put("/queues/{queue:str}/schedule", guards=[OPERATE], tags=["schedules"])
async def save_schedule(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    id: Annotated[str, QueryParameter()],  # noqa: A002
    data: JSONBody[ScheduleWish],
) -> ScheduleRow:
    """Create a schedule, or change when one runs and its data. Its jobs' options stay, and its pause."""
    chosen = management.queue(queue)
    wanted = _options(data)
    async with answering():
        was = await chosen.schedules.get(id)
        if was is None:
            if not data.name:
                raise InvalidOptions("A new schedule needs `name`, the name of its jobs.")
            wanted.setdefault("data", {})
            saved = await chosen.schedules.upsert(id, data.name, **wanted)
        elif data.name and data.name != was.name:
            raise InvalidOptions(
                f"Schedule {id!r} makes jobs {was.name!r}. For jobs {data.name!r} create another one."
            )
        else:
            saved = await chosen.schedules.change(id, **wanted)
    facts = {"name": saved.name, "cron": saved.cron, "every": saved.every}
    await _record(management, actor, "create" if was is None else "change", chosen, id, facts)
    return _row(chosen.name, saved, None, None)


@delete("/queues/{queue:str}/schedule", guards=[OPERATE], tags=["schedules"], status_code=204)
async def remove_schedule(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    id: Annotated[str, QueryParameter()],  # noqa: A002
) -> None:
    """Remove a schedule and its pending run; one that is due or runs goes on."""
    chosen = management.queue(queue)
    async with answering():
        was = await _find(chosen, id)
        await chosen.schedules.remove(id)
    facts = {"name": was.name, "cron": was.cron, "every": was.every}
    await _record(management, actor, "remove", chosen, id, facts)


@post("/queues/{queue:str}/schedule/run", guards=[OPERATE], tags=["schedules"], status_code=200)
async def run_schedule(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    id: Annotated[str, QueryParameter()],  # noqa: A002
) -> Queued:
    """One job more, at once, beside the schedule's own; a paused schedule has it too."""
    chosen = management.queue(queue)
    async with answering():
        job = await chosen.schedules.run_now(id)
    await _record(management, actor, "run", chosen, id, {"job": job.id})
    return Queued(chosen.name, job.id)


@post("/queues/{queue:str}/schedule/pause", guards=[OPERATE], tags=["schedules"], status_code=200)
async def pause_schedule(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    id: Annotated[str, QueryParameter()],  # noqa: A002
) -> ScheduleRow:
    """Make no more runs until it is resumed. 409: it is paused already."""
    return await _switch(management, actor, queue, id, pause=True)


@post("/queues/{queue:str}/schedule/resume", guards=[OPERATE], tags=["schedules"], status_code=200)
async def resume_schedule(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    id: Annotated[str, QueryParameter()],  # noqa: A002
) -> ScheduleRow:
    """Go on with the next run from now. 409: it is not paused."""
    return await _switch(management, actor, queue, id, pause=False)


#: All of them, for `routes`.
SCHEDULE_HANDLERS = [
    list_schedules,
    read_schedule,
    preview_schedule,
    save_schedule,
    remove_schedule,
    run_schedule,
    pause_schedule,
    resume_schedule,
]


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


async def _rows(management: Management, queues: list[Queue]) -> list[ScheduleRow]:
    """The next to run first, those without a next run last."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def read(queue: Queue) -> list[Schedule]:
        async with limit:
            return await queue.schedules.list(MOST_ROWS)

    listed = await asyncio.gather(*(read(queue) for queue in queues))
    pairs = [(queue, one) for queue, found in zip(queues, listed, strict=True) for one in found]
    never = datetime.max.replace(tzinfo=UTC)
    pairs.sort(key=lambda pair: (pair[1].next_run or never, pair[0].name, pair[1].id))
    pairs = pairs[:MOST_ROWS]
    started = [(q.keys(), one.id, round(one.last_run.timestamp() * 1000)) for q, one in pairs if one.last_run]
    ends = await schedule_runs.ends(management.client, started)
    last = {(keys.name, one): end for (keys, one, _), end in zip(started, ends, strict=True)}
    sides = await standings.read_sides(management.client, [q.keys() for q in queues]) if queues else []
    late = {q.name: side.late for q, side in zip(queues, sides, strict=True)}
    return [
        _row(
            q.name, one, late[q.name].get(one.id), _run(end) if (end := last.get((q.name, one.id))) else None
        )
        for q, one in pairs
    ]


async def _switch(
    management: Management, actor: Actor, queue: str, schedule_id: str, *, pause: bool
) -> ScheduleRow:
    chosen = management.queue(queue)
    async with answering():
        change = chosen.schedules.pause if pause else chosen.schedules.resume
        done = await change(schedule_id)
        found = await _find(chosen, schedule_id)
    if not done:
        raise WrongState(f"Schedule {schedule_id!r} is {'paused already' if pause else 'not paused'}.")
    await _record(management, actor, "pause" if pause else "resume", chosen, schedule_id, {})
    return _row(chosen.name, found, None, None)


async def _find(queue: Queue, schedule_id: str) -> Schedule:
    found = await queue.schedules.get(schedule_id)
    if found is None:
        raise ScheduleNotFound(f"Queue {queue.name!r} has no schedule {schedule_id!r}.")
    return found


async def _record(
    management: Management, actor: Actor, what: str, queue: Queue, schedule_id: str, facts: dict[str, Any]
) -> None:
    await management.record(actor, f"schedule.{what}", f"{queue.name}:{schedule_id}", facts)


def _row(queue: str, one: Schedule, late_ms: int | None, last: RunRow | None) -> ScheduleRow:
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


def _run(end: Run) -> RunRow:
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


def _options(wish: ScheduleWish) -> ScheduleOptions:
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


def _first(wish: ScheduleWish, after: datetime) -> datetime | None:
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
