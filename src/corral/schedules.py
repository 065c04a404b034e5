"""Recurring jobs: `queue.schedules`, and schedules declared beside their handler.

A schedule is a BullMQ job scheduler, so Node producers and workers see it, run it and change it, and theirs
run here. It has one pending run at a time, a delayed job; the worker that takes a run makes the next one
before it calls the handler. Redis's clock decides, so any number of workers makes one run a tick.

Limits: runs missed while no worker ran are not caught up, except the one that was pending. A run that takes
longer than its period does not hold the next one back: that is queued, and starts where a slot is free.
Pausing is Corral's own: for Node a paused schedule does not exist, and adding it there again starts it.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Unpack

from corral.bullmq.producer import NewJobs
from corral.bullmq.schedule_reader import Listed, ScheduleReader
from corral.bullmq.schedule_record import Record
from corral.bullmq.scheduler import Scheduler
from corral.cron import DEFAULT_ZONE, find_zone, next_runs
from corral.data import decode_json, encode
from corral.errors import ConfigurationError, ScheduleNotFound
from corral.job import Job
from corral.schedule_options import ScheduleOptions, check_schedule, schedule_record, schedule_timing
from corral.sealing import is_sealed, take_apart

if TYPE_CHECKING:
    from corral.queue import Queue


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as it was when it was read. Times are aware datetimes, durations seconds."""

    id: str
    #: Name and data of the jobs that it makes.
    name: str
    data: Any
    cron: str | None
    every: float | None
    tz: str
    offset: float | None
    start: datetime | None
    end: datetime | None
    limit: int | None
    #: Runs made so far, the pending one included.
    iterations: int
    #: None: no run is pending. It is paused, over, or its run has just started.
    next_run: datetime | None
    #: The planned time of the last run that started; None: none is known of.
    last_run: datetime | None
    paused: bool

    def next_runs(self, count: int, tz: str | None = None) -> builtins.list[datetime]:
        """A preview of the next `count` runs, in the schedule's own zone or in `tz`. No round trip.

        Empty if it is over. A pending run that is overdue comes first; what was missed since is left out. The
        limit is not looked at. Raises InvalidOptions for an unknown zone.
        """
        zone = find_zone(tz or self.tz)
        first = self.next_run
        if first is None and not self.paused:
            return []
        now = datetime.now(UTC)
        runs = [] if first is None else [first]
        if self.cron is not None:
            after = max(first or now, self.start or now, now)
            runs += next_runs(self.cron, self.tz, after, count - len(runs))
        elif self.every is not None:
            before = first.timestamp() if first else now.timestamp()
            before += self.every * max(0, (now.timestamp() - before) // self.every)
            runs += [
                datetime.fromtimestamp(before + k * self.every, UTC) for k in range(1, count + 1 - len(runs))
            ]
        runs = [run for run in runs if self.end is None or run <= self.end]
        return [run.astimezone(zone) for run in runs[:count]]


class Schedules:
    """The schedules of one queue. Methods raise RedisUnavailable."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        #: Declared in code by `Queue.schedule`; a worker upserts them when it starts.
        self.declared: dict[str, tuple[str, ScheduleOptions]] = {}

    # Changing

    async def upsert(self, schedule_id: str, name: str, **options: Unpack[ScheduleOptions]) -> Schedule:
        """Add a schedule, or change the one of this id. Two round trips.

        What is the same already stays as it is; a run that is due stays due unless its time changes; a paused
        schedule stays paused. Raises InvalidOptions, InvalidData, UnknownJobName, ScheduleConflict.
        """
        record = schedule_record(self._queue, schedule_id, name, options)
        with self._queue.redis_errors():
            if self._queue.sealing.active:
                record = await self._as_stored(record)
            written = await self._wire().upsert(record, immediately=options.get("immediately", False))
        return self._schedule(Listed(written, None))

    async def _as_stored(self, record: Record) -> Record:
        """The record with the data that is stored, if that means the same: sealed anew it would differ."""
        found = await self._reader().get(record.id)
        if found is None or found.record.name != record.name:
            return record
        sealing, stored = self._queue.sealing, found.record.data
        if not is_sealed(stored) or take_apart(stored.encode()).key_id != sealing.keys.current:
            return record
        plain = sealing.open("data", record.name, record.data.encode())
        same = sealing.show("data", record.name, stored.encode()) == plain
        return replace(record, data=stored) if same else record

    async def change(self, schedule_id: str, **options: Unpack[ScheduleOptions]) -> Schedule:
        """Change when a schedule runs; its jobs' name and options stay, its data too unless `data` is given.

        Three or four round trips. Raises ScheduleNotFound, InvalidOptions, InvalidData, ScheduleConflict.
        """
        with self._queue.redis_errors():
            found = await self._reader().get(schedule_id)
            if found is None:
                raise self._not_found(schedule_id)
            was = found.record
            changed = replace(was, timing=schedule_timing(options))
            if "data" in options:
                changed = replace(
                    changed, data=schedule_record(self._queue, schedule_id, was.name, options).data
                )
            written = await self._wire().upsert(changed)
        return self._schedule(Listed(written, None))

    async def remove(self, schedule_id: str) -> bool:
        """Remove a schedule and its pending run; one that is due or runs goes on. False: there was none."""
        with self._queue.redis_errors():
            return await self._wire().remove(schedule_id)

    async def pause(self, schedule_id: str) -> bool:
        """Make no more runs until `resume`; the pending one is removed. False: none of this id runs."""
        with self._queue.redis_errors():
            return await self._wire().pause(schedule_id)

    async def resume(self, schedule_id: str) -> bool:
        """Go on with the next run from now. False: it was not paused. Raises InvalidOptions if it is over."""
        with self._queue.redis_errors():
            return await self._wire().resume(schedule_id) is not None

    async def run_now(self, schedule_id: str) -> Job:
        """One job more, at once, beside the schedule's own; a paused schedule has it too. Three round trips.

        Raises ScheduleNotFound.
        """
        with self._queue.redis_errors():
            found = await self._reader().get(schedule_id)
            if found is None:
                raise self._not_found(schedule_id)
            record = found.record
            options = record.options
            priority = options.get("priority")
            job = NewJobs(
                id="",
                name=record.name,
                options=encode(options).decode(),
                delay_ms=0,
                priority=priority if isinstance(priority, int) else 0,
                lifo=options.get("lifo") is True,
                timestamp_ms=0,
                once_key="",
                once_ms=0,
                data=[record.data],
            )
            added = await (await self._queue.ready()).producer.add(job)
        return Job(self._queue, added.ids[0], record.name, record.data.encode())

    async def prune(self) -> builtins.list[str]:
        """Remove what was once declared in code and is not in this process. Returns the ids.

        Call it where all of the queue's schedules are declared.
        """
        removed = []
        with self._queue.redis_errors():
            for schedule_id in await self.undeclared():
                await self._wire().remove(schedule_id)
                await self._reader().forget_declared(schedule_id)
                removed.append(schedule_id)
        return removed

    # Reading

    async def get(self, schedule_id: str) -> Schedule | None:
        """Two round trips."""
        with self._queue.redis_errors():
            found = await self._reader().get(schedule_id)
        return None if found is None else self._schedule(found)

    async def list(self, most: int | None = None) -> builtins.list[Schedule]:
        """All schedules, whoever added them, the next to run first and those without a next run last.

        most: no more than the next so many, and all paused ones. Three round trips.
        """
        with self._queue.redis_errors():
            found = await self._reader().read_all(most)
        return self.listed(found)

    def listed(self, found: Sequence[Listed]) -> builtins.list[Schedule]:
        """What was read, in the order of `list`. No round trip."""
        never = datetime.max.replace(tzinfo=UTC)
        return sorted(map(self._schedule, found), key=lambda schedule: schedule.next_run or never)

    async def undeclared(self) -> builtins.list[str]:
        """Schedules that were declared in code once, and are not in this process."""
        with self._queue.redis_errors():
            known = await self._reader().declared(list(self.declared))
        return [schedule_id for schedule_id in known if schedule_id not in self.declared]

    async def note_upserted(self) -> None:
        """Remember in Redis that what is declared here was upserted. One round trip; none without any."""
        if self.declared:
            with self._queue.redis_errors():
                await self._reader().note_upserted(list(self.declared))

    async def forgotten(self) -> bool:
        """Has Redis lost what `note_upserted` wrote? Removing a schedule does not. One round trip."""
        if not self.declared:
            return False
        with self._queue.redis_errors():
            return await self._reader().forgot(list(self.declared))

    # Declaring

    def declare(self, schedule_id: str, name: str, options: ScheduleOptions) -> None:
        """`Queue.schedule` is the public face of this."""
        if schedule_id in self.declared:
            raise ConfigurationError(f"Queue {self._queue.name!r} declares schedule {schedule_id!r} twice.")
        check_schedule(schedule_id, options)
        self.declared[schedule_id] = (name, options)

    def _not_found(self, schedule_id: str) -> ScheduleNotFound:
        return ScheduleNotFound(f"Queue {self._queue.name!r} has no schedule {schedule_id!r}.")

    def _schedule(self, listed: Listed) -> Schedule:
        record = listed.record
        data = record.data.encode()
        if is_sealed(record.data):  # asking for the keys reads the settings, once a queue
            data = self._queue.sealing.show("data", record.name, data)
        return _schedule(listed, decode_json(data))

    def _reader(self) -> ScheduleReader:
        return ScheduleReader(self._queue.client(), self._queue.keys())

    def _wire(self) -> Scheduler:
        return Scheduler(self._queue.client(), self._queue.keys())


def _schedule(listed: Listed, data: Any) -> Schedule:
    record, timing = listed.record, listed.record.timing
    return Schedule(
        id=record.id,
        name=record.name,
        data=data,
        cron=timing.pattern,
        every=_seconds(timing.every),
        tz=timing.tz or DEFAULT_ZONE,
        offset=_seconds(timing.offset),
        start=_moment(timing.start),
        end=_moment(timing.end),
        limit=timing.limit,
        iterations=record.iterations,
        next_run=_moment(record.next),
        last_run=_moment(listed.last),
        paused=record.paused,
    )


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
