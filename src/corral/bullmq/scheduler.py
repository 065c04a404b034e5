"""Job schedulers in Redis: added, armed, found lost, paused, removed. Milliseconds throughout.

What BullMQ's scripts do is left to them: adding (guarded against other writers), making the next run,
removing. The clock is Redis's own, so that no worker's clock shifts a schedule. Emits nothing; raises what
redis-py raises.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import msgspec
import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.schedule_reader import ScheduleReader, Seen, to_ms
from corral.bullmq.schedule_record import (
    Lost,
    Record,
    Timing,
    count_of,
    is_legacy,
    is_used_up,
    means_the_same,
    next_slot,
    paused_text,
    read_options,
    run_id,
    run_options,
    same_rhythm,
    slot_after,
    slot_of,
)
from corral.bullmq.scripts import Script, official, ours
from corral.errors import InvalidOptions, ScheduleConflict

#: How often an upsert starts again because another writer was faster; each time one of them has succeeded.
TRIES = 20

CHANGED, TAKEN, ALL_TAKEN = -100, -10, -11

_pack = msgspec.msgpack.Encoder().encode


class Scheduler:
    """The job schedulers of one queue."""

    def __init__(self, client: aioredis.Redis, keys: QueueKeys) -> None:
        self._client = client
        self._keys = keys
        self._reader = ScheduleReader(client, keys)
        self._paused = keys.schedules("paused")
        self._last = keys.schedules("last")

    # Writing

    async def upsert(self, wanted: Record, *, immediately: bool = False) -> Record:
        """Add or change a schedule; what changes nothing is not written. Two round trips, or three.

        Raises InvalidOptions if it has no run, ScheduleConflict.
        """
        for _ in range(TRIES):
            seen = await self._reader.look(wanted.id)
            if seen.paused is not None and seen.stored is None:
                if means_the_same(wanted, seen.paused.record):
                    return seen.paused.record
                text = paused_text(wanted, 1)
                if await self._replace_paused(wanted.id, seen.paused_text, text):
                    return dataclasses.replace(wanted, paused=True)
                continue
            if seen.stored is not None and means_the_same(wanted, seen.stored):
                return seen.stored
            slot = seen.now if immediately else await self._first_slot(wanted, seen)
            # BullMQ counts towards the limit anew; its figure of all runs must follow, or the watchdog errs.
            made = 1 if wanted.timing.limit is not None else None
            added = await self._add(wanted, seen, slot, count=1, made=made)
            if added is not None:
                return added
        raise ScheduleConflict(f"Others keep changing schedule {wanted.id!r}. Try again.")

    async def _first_slot(self, wanted: Record, seen: Seen) -> int | None:
        stored, timing = seen.stored, wanted.timing
        if timing.pattern and stored and stored.next and same_rhythm(timing, stored.timing):
            if stored.next > seen.now:
                return stored.next
            run = self._keys.job(run_id(wanted.id, stored.next))
            data, started = await self._client.hmget(run, ["data", "processedOn"])
            if data is not None and started is None:
                return stored.next  # a run that is due stays due
        return next_slot(timing, seen.now)

    async def _add(
        self, wanted: Record, seen: Seen, slot: int | None, *, count: int, made: int | None
    ) -> Record | None:
        """Call BullMQ's upsert. None: another writer was faster."""
        timing = wanted.timing
        while slot is not None:
            answer = await self._call_upsert(wanted, seen, slot, count, made)
            if answer == CHANGED:
                return None
            if answer == ALL_TAKEN:
                raise ScheduleConflict(
                    f"Jobs of an earlier schedule {wanted.id!r} hold its next slots. "
                    "Clean them, or choose another id."
                )
            if answer != TAKEN:
                return dataclasses.replace(wanted, next=slot_of(answer[0].decode()), iterations=made or 1)
            slot = slot_after(timing, slot, seen.now)  # a run of that very moment is there already
        raise InvalidOptions(f"Schedule {wanted.id!r} has no run in its time: look at its start and end.")

    async def _call_upsert(self, wanted: Record, seen: Seen, slot: int, count: int, made: int | None) -> Any:
        keys, timing = self._keys, wanted.timing
        options = run_options(wanted.id, wanted.options, timing, count=count, next_ms=slot, now_ms=seen.now)
        return await _guarded_upsert()(
            self._client,
            [
                keys.repeat,
                keys.delayed,
                keys.wait,
                keys.paused,
                keys.meta,
                keys.prioritized,
                keys.marker,
                keys.id,
                keys.events,
                keys.pc,
                keys.active,
                keys.schedule(wanted.id),
                self._paused,
            ],
            str(slot),
            _pack({"name": wanted.name, **timing.wire()}),
            wanted.id,
            wanted.data,
            _pack(wanted.options),
            _pack(options),
            seen.now,
            keys.base,
            "",
            seen.fields_text,
            seen.paused_text,
            "" if made is None else str(made),
        )

    async def arm(
        self, job_id: str, schedule_id: str, raw_options: bytes | None, *, first: bool
    ) -> str | None:
        """A run starts: make the one after it. Two round trips. Returns its id; None: nothing to make.

        Whoever comes first makes it; for a retry, or a schedule that was changed or removed, nothing happens.
        Raises InvalidOptions for a pattern that cannot be read.
        """
        options = read_options(raw_options)
        repeat = options.get("repeat")
        if not isinstance(repeat, dict):
            return None  # not made by a scheduler, whatever it says
        timing = Timing.of(repeat)
        pipe = self._client.pipeline(transaction=False)
        pipe.time()
        if first:
            pipe.hset(self._last, schedule_id, str(slot_of(job_id)))
        if is_legacy(schedule_id):
            pipe.hexists(self._keys.schedule(schedule_id), "ic")
        replies = await pipe.execute()
        if is_legacy(schedule_id) and not replies[-1]:
            return None  # BullMQ 6 does not go on with it either
        return await self._update(
            schedule_id, timing, options, slot=slot_of(job_id), run=job_id,
            count=(count_of(options) or 0) + 1, now_ms=to_ms(replies[0]),
        )  # fmt: skip

    async def rearm(self, lost: Lost, now_ms: int) -> str | None:
        """Make the run after one that is lost. One round trip. None: it is over, or another was faster."""
        record = lost.record
        return await self._update(
            record.id, record.timing, record.options, slot=lost.slot,
            run=run_id(record.id, lost.slot), count=lost.count + 1, now_ms=now_ms,
        )  # fmt: skip

    async def _update(
        self,
        schedule_id: str,
        timing: Timing,
        options: dict[str, Any],
        *,
        slot: int,
        run: str,
        count: int,
        now_ms: int,
    ) -> str | None:
        keys = self._keys
        following = None if is_used_up(timing, count) else slot_after(timing, slot, now_ms)
        if following is None:
            return None
        made = await official("updateJobScheduler")(
            self._client,
            [
                keys.repeat,
                keys.delayed,
                keys.wait,
                keys.paused,
                keys.meta,
                keys.prioritized,
                keys.marker,
                keys.id,
                keys.events,
                keys.pc,
                keys.job(run),
                keys.active,
            ],
            str(following),
            schedule_id,
            "{}",  # the script takes the template's data
            _pack(run_options(schedule_id, options, timing, count=count, next_ms=following, now_ms=now_ms)),
            now_ms,
            keys.base,
            run,
        )
        return None if made is None else made.decode()

    async def remove(self, schedule_id: str) -> bool:
        """Remove a schedule, paused or not, and its pending run. Two round trips. False: there was none."""
        keys = self._keys
        missing = await official("removeJobScheduler")(
            self._client, [keys.repeat, keys.delayed, keys.events], schedule_id, keys.base
        )
        pipe = self._client.pipeline(transaction=False)
        pipe.hdel(self._paused, schedule_id)
        pipe.hdel(self._last, schedule_id)
        paused, _ = await pipe.execute()
        return not missing or bool(paused)

    async def pause(self, schedule_id: str) -> bool:
        """One round trip. False: no schedule of this id runs."""
        keys = self._keys
        done = await ours("pause_schedule")(
            self._client,
            [
                keys.repeat, keys.schedule(schedule_id), self._paused, keys.delayed, keys.prioritized,
                keys.wait, keys.events,
            ],
            schedule_id,
            keys.base,
        )  # fmt: skip
        return bool(done)

    async def resume(self, schedule_id: str) -> Record | None:
        """Two round trips. None: it is not paused. Raises InvalidOptions if it has no run any more."""
        for _ in range(TRIES):
            seen = await self._reader.look(schedule_id)
            if seen.paused is None:
                return None
            record, count = seen.paused.record, seen.paused.count
            if seen.stored is not None:  # a client that knows nothing of pauses has added it again
                await self._client.hdel(self._paused, schedule_id)
                return seen.stored
            if is_used_up(record.timing, count):
                raise InvalidOptions(f"Schedule {schedule_id!r} has had its {record.timing.limit} runs.")
            running = dataclasses.replace(record, paused=False)
            made = max(record.iterations, count, 1)
            added = await self._add(running, seen, next_slot(record.timing, seen.now), count=count, made=made)
            if added is not None:
                return added
        raise ScheduleConflict(f"Others keep changing schedule {schedule_id!r}. Try again.")

    async def _replace_paused(self, schedule_id: str, was: bytes, text: str) -> bool:
        return bool(await ours("replace_field")(self._client, [self._paused], schedule_id, was, text))


@cache
def _guarded_upsert() -> Script:
    frame, script = ours("guarded_upsert"), official("addJobScheduler")
    return Script(f"guarded {script.name}", frame.source.replace("--OFFICIAL--", script.source))
