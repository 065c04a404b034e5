"""Reading job schedulers: all, one, those whose next run went missing, those declared in code.

Milliseconds throughout. Emits nothing; raises what redis-py raises.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.schedule_record import (
    Lost,
    Paused,
    Record,
    count_of,
    read_options,
    read_paused,
    read_record,
    run_id,
)
from corral.bullmq.scripts import ours


@dataclass(frozen=True, slots=True)
class Listed:
    """A schedule with what its pending run tells of it."""

    record: Record
    last: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """A schedule as it was read, in a form that the guard of an upsert compares."""

    fields_text: bytes
    paused_text: bytes
    stored: Record | None
    paused: Paused | None
    now: int


class ScheduleReader:
    """The job schedulers of one queue, as they are. What it writes is only Corral's own notes."""

    def __init__(self, client: aioredis.Redis, keys: QueueKeys) -> None:
        self._client = client
        self._keys = keys
        self._paused = keys.schedules("paused")
        self._last = keys.schedules("last")

    async def look(self, schedule_id: str) -> Seen:
        """One round trip."""
        pipe = self._client.pipeline(transaction=True)
        pipe.hgetall(self._keys.schedule(schedule_id))
        pipe.zscore(self._keys.repeat, schedule_id)
        pipe.hget(self._paused, schedule_id)
        pipe.time()
        fields, score, kept, now = await pipe.execute()
        flat = [part for pair in fields.items() for part in pair]
        return Seen(
            fields_text=b"\0".join(flat),
            paused_text=kept or b"",
            stored=read_record(schedule_id, fields, score) if score is not None and fields else None,
            paused=read_paused(schedule_id, kept) if kept else None,
            now=to_ms(now),
        )

    async def get(self, schedule_id: str) -> Listed | None:
        """Two round trips."""
        seen = await self.look(schedule_id)
        record = seen.stored or (seen.paused.record if seen.paused else None)
        return None if record is None else (await self._with_runs([record]))[0]

    async def read_all(self, most: int | None = None) -> list[Listed]:
        """All of them, paused ones last. Three round trips. most: of those that run, the next ones."""
        return (await read_many(self._client, [self._keys], most))[0]

    async def _with_runs(self, records: list[Record]) -> list[Listed]:
        return (await _with_runs(self._client, [(self._keys, records)]))[0]

    async def lost(self, interval_ms: int) -> tuple[int, list[Lost]]:
        """Schedules whose next run went missing, and the time. One round trip for each 500 that are overdue.

        One worker in each interval gets them, whichever asks first.
        """
        keys = self._keys
        found: list[Lost] = []
        offset = now = 0
        while True:
            page = await ours("lost_schedules")(
                self._client,
                [
                    keys.repeat, keys.delayed, keys.prioritized, keys.wait, keys.active,
                    keys.schedules("sweep"), self._paused, self._last,
                ],
                keys.base,
                interval_ms,
                offset,
            )  # fmt: skip
            if not page or not page[0]:
                return now, found
            looked_at, now = page[0], int(page[1])
            found += [lost for entry in page[2] if (lost := _lost(*entry)) is not None]
            offset += looked_at

    # What was declared in code

    async def declared(self, ids: list[str]) -> list[str]:
        """Note these ids as declared; returns all that ever were and still exist. One or two round trips."""
        key = self._keys.schedules("declared")
        pipe = self._client.pipeline(transaction=False)
        if ids:
            pipe.sadd(key, *ids)
        pipe.smembers(key)
        pipe.zrange(self._keys.repeat, 0, -1)
        pipe.hkeys(self._paused)
        *_, known, running, paused = await pipe.execute()
        gone = known - {*running, *paused}
        gone -= {schedule_id.encode() for schedule_id in ids}
        if gone:
            await self._client.srem(key, *gone)
        return sorted(member.decode(errors="replace") for member in known - gone)

    async def forget_declared(self, schedule_id: str) -> None:
        await self._client.srem(self._keys.schedules("declared"), schedule_id)

    async def note_upserted(self, ids: list[str]) -> None:
        """Kept apart from what is declared: only a server that lost its data loses it."""
        await self._client.sadd(self._keys.schedules("upserted"), *ids)

    async def forgot(self, ids: list[str]) -> bool:
        known: Any = await self._client.smembers(self._keys.schedules("upserted"))
        return not known.issuperset(schedule_id.encode() for schedule_id in ids)


async def read_many(
    client: aioredis.Redis, queues: Sequence[QueueKeys], most: int | None = None
) -> list[list[Listed]]:
    """The schedules of each queue, paused ones last. Three round trips for any number of queues.

    most: of those of a queue that run, the next ones.
    """
    pipe = client.pipeline(transaction=False)
    for keys in queues:
        pipe.zrange(keys.repeat, 0, -1 if most is None else most - 1, withscores=True)
        pipe.hgetall(keys.schedules("paused"))
    replies = await pipe.execute() if queues else []
    seen = list(zip(queues, replies[::2], replies[1::2], strict=True))
    pipe = client.pipeline(transaction=False)
    for keys, running, _ in seen:
        for schedule_id, _score in running:
            pipe.hgetall(keys.schedule(schedule_id.decode()))
    hashes = iter(await pipe.execute() if len(pipe) else [])
    found = []
    for keys, running, kept in seen:
        pairs = [(schedule_id, score, next(hashes)) for schedule_id, score in running]
        records = [
            read_record(schedule_id.decode(errors="replace"), fields, score)
            for schedule_id, score, fields in pairs
            if fields
        ]
        there = {record.id for record in records}
        for schedule_id, raw in kept.items():
            paused = read_paused(schedule_id.decode(errors="replace"), raw)
            if paused is not None and paused.record.id not in there:
                records.append(paused.record)
        found.append((keys, records))
    return await _with_runs(client, found)


async def _with_runs(
    client: aioredis.Redis, queues: Sequence[tuple[QueueKeys, list[Record]]]
) -> list[list[Listed]]:
    """Tell whether the next run is there, and when the last one was. One round trip."""
    pipe = client.pipeline(transaction=False)
    for keys, records in queues:
        if records:
            pipe.hmget(keys.schedules("last"), [record.id for record in records])
        for record in records:
            run = run_id(record.id, record.next or 0)
            pipe.hmget(keys.job(run), ["opts", "processedOn", "timestamp"])
    replies = iter(await pipe.execute() if len(pipe) else [])
    listed = []
    for _, records in queues:
        last = next(replies) if records else []
        listed.append(
            [_listed(record, known, next(replies)) for record, known in zip(records, last, strict=True)]
        )
    return listed


def _lost(schedule_id: bytes, slot: bytes, flat: list[bytes], latest: bytes | None) -> Lost | None:
    record = read_record(
        schedule_id.decode(errors="replace"), dict(zip(flat[::2], flat[1::2], strict=True)), float(slot)
    )
    if not record.name or not (record.timing.pattern or record.timing.every):
        return None  # an entry without a scheduler: a repeatable job of an old BullMQ
    count = count_of(read_options(latest))
    return Lost(record, int(slot), record.iterations if count is None else count)


def _listed(record: Record, known: bytes | None, run: list[bytes | None]) -> Listed:
    options, started, made = run
    last = int(known) if known else None
    if last is None and started is not None:
        last = record.next
    if last is None and made and (count_of(read_options(options)) or 0) > 1:
        last = int(float(made))  # it was made when the run before it started
    if options is None or started is not None:
        record = dataclasses.replace(record, next=None)
    return Listed(record, last)


def to_ms(time: tuple[int, int]) -> int:
    """What TIME answers, in milliseconds."""
    return time[0] * 1000 + time[1] // 1000
