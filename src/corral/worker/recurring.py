"""A worker's part in recurring jobs: make the next run when one starts, and look for schedules that stopped.

When Redis is away just as a run starts, its job runs all the same and the schedule waits for the watchdog:
one worker in each interval finds the schedules whose next run is overdue and nowhere, and makes it. That also
brings back one whose worker died in that moment (its job is rescued too), or whose run was removed by hand.
A Redis that came back without its data forgot all schedules: those declared in code are upserted again,
within an interval.

Emits: schedule_not_armed (queue, schedule, error), schedule_rearmed (queue, schedule, job),
schedule_unreadable (queue, schedule, error), schedule_refused (queue, schedule, error),
schedule_not_declared (queue, schedule), schedules_not_watched (queue, error), schedules_forgotten (queue).
"""

from __future__ import annotations

import asyncio

import structlog
from redis.exceptions import RedisError

from corral.bullmq.schedule_reader import ScheduleReader
from corral.bullmq.schedule_record import Lost
from corral.bullmq.scheduler import Scheduler
from corral.bullmq.settlement import Fetched
from corral.errors import CorralError, RedisUnavailable
from corral.queue import Queue

log = structlog.get_logger(__name__)

_AWAY = (RedisError, OSError, TimeoutError, RedisUnavailable)


async def make_next_run(queue: Queue, job: Fetched, job_id: str) -> None:
    """Called before the handler of a scheduler's job. Never raises: the job runs in any case."""
    schedule = (job.scheduler or b"").decode(errors="replace")
    try:
        first = job.attempts_started is None
        await Scheduler(queue.client(), queue.keys()).arm(job_id, schedule, job.options, first=first)
    except _AWAY as error:
        log.warning("schedule_not_armed", queue=queue.name, schedule=schedule, error=type(error).__name__)
    except CorralError as error:
        log.error("schedule_unreadable", queue=queue.name, schedule=schedule, error=str(error))
    except Exception:  # a fault of ours must cost a schedule's punctuality, never a job
        log.exception("schedule_not_armed", queue=queue.name, schedule=schedule)


async def watch_schedules(queue: Queue, interval_seconds: float) -> None:
    """Upsert what the code declares, then look for stopped schedules every interval, until cancelled."""
    await _until_it_is_done(queue, interval_seconds)
    unreadable: set[str] = set()
    while True:
        try:
            if await queue.schedules.forgotten():
                log.warning("schedules_forgotten", queue=queue.name)
                await _upsert_declared(queue)
            await _rearm(queue, interval_seconds, unreadable)
        except _AWAY as error:
            log.warning("schedules_not_watched", queue=queue.name, error=type(error).__name__)
        await asyncio.sleep(interval_seconds)


async def _until_it_is_done(queue: Queue, interval_seconds: float) -> None:
    while True:
        try:
            return await _upsert_declared(queue)
        except _AWAY as error:
            log.warning("schedules_not_watched", queue=queue.name, error=type(error).__name__)
        await asyncio.sleep(min(interval_seconds, 1.0))


async def _upsert_declared(queue: Queue) -> None:
    schedules = queue.schedules
    for schedule_id in await schedules.undeclared():
        log.warning("schedule_not_declared", queue=queue.name, schedule=schedule_id)
    for schedule_id, (name, options) in schedules.declared.items():
        try:
            await schedules.upsert(schedule_id, name, **options)
        except _AWAY:
            raise
        except CorralError as error:  # one that is over, or names an unknown job; the others are not to blame
            log.error("schedule_refused", queue=queue.name, schedule=schedule_id, error=str(error))
    await schedules.note_upserted()


async def _rearm(queue: Queue, interval_seconds: float, unreadable: set[str]) -> None:
    scheduler = Scheduler(queue.client(), queue.keys())
    now_ms, found = await ScheduleReader(queue.client(), queue.keys()).lost(round(interval_seconds * 1000))
    for lost in found:
        await _rearm_one(queue, scheduler, lost, now_ms, unreadable)


async def _rearm_one(
    queue: Queue, scheduler: Scheduler, lost: Lost, now_ms: int, unreadable: set[str]
) -> None:
    schedule = lost.record.id
    try:
        job = await scheduler.rearm(lost, now_ms)
    except CorralError as error:
        if schedule not in unreadable:  # once is enough: it will not get better by itself
            unreadable.add(schedule)
            log.error("schedule_unreadable", queue=queue.name, schedule=schedule, error=str(error))
        return
    if job is not None:
        log.warning("schedule_rearmed", queue=queue.name, schedule=schedule, job=job)
