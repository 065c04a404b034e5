"""Schedules: list over all queues, show with runs and results, run, pause, resume, change, create, remove.

An id may hold any character where BullMQ made the schedule, so it is a query parameter, not a part of a path.
Data of a schedule's jobs is shown to those who may see payloads; who changes a schedule without giving data
leaves it as it was. Every change is in the audit log.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from corral.api.auth import Permission
from corral.api.lookup import answering, looking_at_many
from corral.bullmq import schedule_runs, standings
from corral.bullmq.clock import server_seconds
from corral.bullmq.schedule_reader import read_many
from corral.cron import DEFAULT_ZONE
from corral.errors import InvalidOptions, ScheduleNotFound, WrongState
from corral.manage.queue_names import names_of
from corral.manage.schedule_rows import (
    Preview,
    Queued,
    ScheduleDetail,
    ScheduleList,
    ScheduleRow,
    ScheduleWish,
    first_run,
    options_of,
    row_of,
    run_row,
    slots_before,
)
from corral.manage.service import Actor, Management, asks_for
from corral.queue import Queue
from corral.schedule_options import check_schedule
from corral.schedule_words import in_words
from corral.schedules import Schedule

#: Rows of one answer; those that run next come first.
MOST_ROWS = 500

#: Runs shown ahead, and results shown behind.
RUNS = 5

WATCH, OPERATE = asks_for(Permission.WATCH), asks_for(Permission.OPERATE)


@get("/schedules", guards=[WATCH], tags=["schedules"])
async def list_schedules(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    queue: FromQuery[str | None] = None,
) -> ScheduleList:
    """The schedules of all queues, or of one. Seven round trips."""
    names = names_of(request.app, management)
    queues, whole = await names.so_far() if queue is None else ([management.queue(queue)], True)
    async with looking_at_many(management.client):
        now = await server_seconds(management.client)
        counts = await schedule_runs.how_many(management.client, [q.keys() for q in queues])
        having = [q for q, count in zip(queues, counts, strict=True) if count]
        rows = await _rows(management, having, round(now * 1000))
    return ScheduleList(now, whole, sum(counts), rows[:MOST_ROWS])


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
    results = [run_row(end) for end in ends if end is not None]
    shown = actor.sees_payloads
    return ScheduleDetail(
        schedule=row_of(chosen.name, found, late.get(id), results[0] if results else None),
        zone=zone or found.tz,
        runs=[run.isoformat() for run in found.next_runs(RUNS, zone)],
        results=results,
        data_shown=shown,
        data=found.data if shown else None,
    )


@post("/schedules/preview", guards=[WATCH], tags=["schedules"], status_code=200)
async def preview_schedule(data: JSONBody[ScheduleWish], zone: FromQuery[str | None] = None) -> Preview:
    """What a rhythm means, before it is saved: words and the next five runs. 422: it is wrong."""
    wanted = options_of(data)
    check_schedule("preview", wanted)
    start = wanted.get("start")
    now = datetime.now(UTC)
    planned = Schedule(
        id="preview", name=data.name, data=None, cron=data.cron, every=data.every, tz=data.tz or DEFAULT_ZONE,
        offset=data.offset, start=start, end=wanted.get("end"), limit=data.limit, iterations=0,
        next_run=first_run(data, max(now, start) if start else now), last_run=None, paused=False,
    )  # fmt: skip
    runs = planned.next_runs(RUNS, zone)
    words = in_words(cron=data.cron, every=data.every)
    return Preview(words, zone or planned.tz, [run.isoformat() for run in runs])


@put("/queues/{queue:str}/schedule", guards=[OPERATE], tags=["schedules"])
async def save_schedule(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    id: Annotated[str, QueryParameter()],  # noqa: A002  # the parameter's name in the address
    data: JSONBody[ScheduleWish],
) -> ScheduleRow:
    """Create a schedule, or change when one runs and its data. Its jobs' options stay, and its pause."""
    chosen = management.queue(queue)
    wanted = options_of(data)
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
    return row_of(chosen.name, saved, None, None)


@delete("/queues/{queue:str}/schedule", guards=[OPERATE], tags=["schedules"], status_code=204)
async def remove_schedule(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    id: Annotated[str, QueryParameter()],  # noqa: A002  # the parameter's name in the address
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
    id: Annotated[str, QueryParameter()],  # noqa: A002  # the parameter's name in the address
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
    id: Annotated[str, QueryParameter()],  # noqa: A002  # the parameter's name in the address
) -> ScheduleRow:
    """Make no more runs until it is resumed. 409: it is paused already."""
    return await _switch(management, actor, queue, id, pause=True)


@post("/queues/{queue:str}/schedule/resume", guards=[OPERATE], tags=["schedules"], status_code=200)
async def resume_schedule(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    id: Annotated[str, QueryParameter()],  # noqa: A002  # the parameter's name in the address
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


async def _rows(management: Management, queues: list[Queue], now_ms: int) -> list[ScheduleRow]:
    """The next to run first, those without a next run last."""
    read = await read_many(management.client, [queue.keys() for queue in queues], MOST_ROWS)
    pairs = [
        (queue, one)
        for queue, found in zip(queues, read, strict=True)
        for one in queue.schedules.listed(found)
    ]
    never = datetime.max.replace(tzinfo=UTC)
    pairs.sort(key=lambda pair: (pair[1].next_run or never, pair[0].name, pair[1].id))
    pairs = pairs[:MOST_ROWS]
    started = [(q.keys(), one.id, round(one.last_run.timestamp() * 1000)) for q, one in pairs if one.last_run]
    ends = await schedule_runs.ends(management.client, started)
    last = {(keys.name, one): run_row(end) for (keys, one, _), end in zip(started, ends, strict=True) if end}
    found_late = await standings.read_late(management.client, [q.keys() for q in queues], now_ms)
    late = {q.name: one for q, one in zip(queues, found_late, strict=True)}
    return [row_of(q.name, one, late[q.name].get(one.id), last.get((q.name, one.id))) for q, one in pairs]


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
    return row_of(chosen.name, found, None, None)


async def _find(queue: Queue, schedule_id: str) -> Schedule:
    found = await queue.schedules.get(schedule_id)
    if found is None:
        raise ScheduleNotFound(f"Queue {queue.name!r} has no schedule {schedule_id!r}.")
    return found


async def _record(
    management: Management, actor: Actor, what: str, queue: Queue, schedule_id: str, facts: dict[str, Any]
) -> None:
    await management.record(actor, f"schedule.{what}", f"{queue.name}:{schedule_id}", facts)
