"""The live events of several queues for one reader, gathered into batches.

Each queue has one reader of Redis in a process, whoever listens (corral.events); a feed takes from those of
its queues, keeps what it is asked for in bounded memory, and makes a batch of it when its reader takes one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self

import msgspec
from redis.exceptions import RedisError

from corral.api.lookup import answering
from corral.api.sse import frame
from corral.bullmq import stream
from corral.errors import RedisUnavailable
from corral.events import Event, pause
from corral.manage import events_places as places
from corral.manage.events_gathering import Gathering
from corral.manage.events_names import JobNames
from corral.manage.events_places import Missed, Place
from corral.manage.events_rows import QueueEventRow, Wanted, event_row, is_gap
from corral.queue import Queue

#: Events of a batch, and seconds between two: five a second.
MOST_ROWS = 100
TICK_SECONDS = 0.2

#: Events between two batches of which the job's name is looked at, where it is asked for.
MOST_NAMED = 1_000

#: How often a feed of all queues looks for new ones.
NEW_QUEUES_SECONDS = 15.0


class MissedRow(msgspec.Struct, frozen=True, rename="camel"):
    """Events of a queue that Redis no longer has; count null: some may be missing."""

    queue: str
    count: int | None


class EventBatch(msgspec.Struct, frozen=True, rename="camel"):
    """What came since the last one, oldest first. left: by kind, how many more came than fit.

    away: Redis does not answer; the stream goes on behind its last event when it does again.
    """

    at: float
    events: list[QueueEventRow]
    left: dict[str, int]
    missed: list[MissedRow]
    away: bool


class Feed:
    """`async with Feed(…) as feed: … await feed.next_frame()`.

    start: where to begin in each queue. new_queues: finds queues to take in later; None: they are fixed.
    """

    def __init__(
        self,
        queues: Iterable[Queue],
        wanted: Wanted,
        names: JobNames,
        start: dict[str, Place],
        *,
        payloads: bool,
        stopping: asyncio.Event,
        new_queues: Callable[[], Awaitable[list[Queue]]] | None = None,
    ) -> None:
        self._queues = {queue.name: queue for queue in queues}
        self._wanted = wanted
        self._names = names
        self._places = {name: start.get(name, Place()) for name in self._queues}
        self._payloads = payloads
        self._stopping = stopping
        self._new_queues = new_queues
        self._gathering = Gathering(MOST_ROWS if wanted.name is None else MOST_NAMED)
        self._missed: dict[str, int | None] = {}
        self._unreached: set[str] = set()
        self._was_away: bool | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        for queue in self._queues.values():
            self._start(self._listen(queue))
        if self._new_queues is not None:
            self._start(self._look_for_queues(self._new_queues))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def next_frame(self) -> bytes | None:
        """What came within TICK_SECONDS, as a server-sent event; None: nothing."""
        if self._was_away is not None:
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._stopping.wait()
            except TimeoutError:
                pass
        away = self._is_away()
        if not self._gathering and not self._missed and away is self._was_away:
            return None
        self._was_away = away
        # The places first: what comes while names are looked up belongs to the next batch.
        place = places.encode(self._places)
        chosen, left = self._gathering.drain()
        missed, self._missed = [MissedRow(*row) for row in self._missed.items()], {}
        rows = await self._rows(chosen, left)
        batch = EventBatch(time.time(), rows, left, missed, away)
        return frame("batch", msgspec.json.encode(batch), place)

    async def _rows(self, chosen: list[tuple[str, Event]], left: dict[str, int]) -> list[QueueEventRow]:
        try:
            async with asyncio.timeout(1):
                await self._names.look_up((self._queues[queue], event.job_id) for queue, event in chosen)
        except (TimeoutError, RedisError, OSError):
            pass  # rows without names, until Redis answers again
        rows: list[QueueEventRow] = []
        for queue, event in chosen:
            name = self._names.of(queue, event.job_id)
            if self._wanted.name not in (None, name):
                continue
            if len(rows) >= MOST_ROWS:
                left[event.name] = left.get(event.name, 0) + 1
                continue
            rows.append(event_row(self._queues[queue], event, name, payloads=self._payloads))
        return rows

    def _is_away(self) -> bool:
        return bool(self._unreached) or any(queue.event_hub().interrupted for queue in self._queues.values())

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, queue: Queue) -> None:
        place, failures = self._places[queue.name], 0
        while True:
            try:
                async with answering():
                    await stream.ends(queue.client(), queue.keys())
                self._unreached.discard(queue.name)
                failures = 0
                async for event in queue.events(stream.text(place.position)):
                    await self._take(queue, place, event)
                return  # the queue was closed
            except RedisUnavailable:
                self._unreached.add(queue.name)
                await asyncio.sleep(pause(failures))
                failures += 1

    async def _take(self, queue: Queue, place: Place, event: Event) -> None:
        position = stream.parse(event.id)
        if is_gap(event):
            try:
                last, added = await stream.standing(queue.client(), queue.keys())
            except (RedisError, OSError):
                last, added = place.position, None
            self._note(queue, place.gap(last, added))
            return
        if position is not None:
            self._note(queue, place.passed(position))
        self._names.learn(queue.name, event)
        if self._wanted.takes(event):
            self._gathering.take(queue.name, event)

    def _note(self, queue: Queue, missed: Missed | None) -> None:
        if missed is not None:
            before = self._missed.get(queue.name, 0)
            known = before is not None and missed.count is not None
            self._missed[queue.name] = (before or 0) + (missed.count or 0) if known else None

    async def _look_for_queues(self, find: Callable[[], Awaitable[list[Queue]]]) -> None:
        while True:
            await asyncio.sleep(NEW_QUEUES_SECONDS)
            try:
                found = await find()
            except RedisUnavailable:
                continue
            for queue in found:
                if queue.name not in self._queues:
                    self._queues[queue.name] = queue
                    self._places[queue.name] = Place()
                    self._start(self._listen(queue))
