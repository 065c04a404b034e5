"""`async for event in queue.events():` what happens in a queue, as every BullMQ client writes it down.

One reader a queue and process serves all who listen. A listener that falls behind reads what it missed from
Redis at its own pace, so a slow one costs no memory and holds nobody up.

Guarantees: in order, none twice. A lost connection is made again, and the position kept. Where events may be
missing (the stream was trimmed, or the server came back empty) an event named `gap` says so, in their place.
Limits: the stream keeps about 10,000 events (BullMQ's default), which a busy queue fills in a second; jobs do
not wait for listeners. Whether anything was trimmed between two events is not recorded by Redis: `gap` means
"may". A `gap` is given at most where a listener starts, falls behind or loses its connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import redis.asyncio as aioredis
import structlog
from redis.exceptions import RedisError

from corral.bullmq import stream
from corral.bullmq.keys import QueueKeys
from corral.bullmq.stream import START, Ends, Entry, Position
from corral.errors import InvalidInput, RedisUnavailable

log = structlog.get_logger(__name__)

#: Name of the event that stands for those that may be missing.
GAP = "gap"

#: Below the connection's command time-out, so that a quiet stream does not look like a lost server.
BLOCK_MS = 2_000

#: Events that the reader keeps for its listeners; who is further behind reads Redis itself.
KEPT = 2_000

#: Seconds between two tries to reach a Redis that is away; doubling from the first to the last.
RETRY_SECONDS = (0.1, 3.0)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a queue."""

    #: Its place in the stream; give it as `after` to go on behind it.
    id: str
    #: added, waiting, active, progress, completed, failed, delayed, …, or gap.
    name: str
    #: None for what concerns the whole queue (paused, resumed, drained, cleaned, gap).
    job_id: str | None
    #: Epoch seconds by the server's clock.
    at: float
    #: What else the event says, as text: prev, returnvalue (JSON), failedReason, data (JSON), delay, …
    fields: Mapping[str, str]


def make_event(entry: Entry) -> Event:
    """The event of a stream's entry."""
    position, fields = entry
    rest = {name: value for name, value in fields.items() if name not in ("event", "jobId")}
    name = fields.get("event", "")
    return Event(stream.text(position), name, fields.get("jobId"), position[0] / 1000, rest)


def resume(position: Position, held: Ends) -> tuple[Position, bool]:
    """Where to go on in a stream that holds this, and whether events may be missing there."""
    if position == START or held.first <= position <= held.last:
        return position, False
    if held.last < position:
        return START, True  # a stream that is younger than the position: begun anew
    return position, True


def gap(position: Position, held: Ends) -> Event:
    """The event that says: between what came before and what comes now, some may be missing."""
    at = held.first if held.first != START else position
    return Event(stream.text(position), GAP, None, at[0] / 1000, {})


class EventHub:
    """The reader of one queue's stream in one event loop, running while somebody listens.

    It stands at the stream's end and keeps what comes. Whenever that is not enough for a listener (at its
    start, when it fell behind, after each lost connection, which begins a new `era`), that one reads itself.
    """

    def __init__(self, client: aioredis.Redis, blocking: aioredis.Redis, keys: QueueKeys) -> None:
        self._client = client
        self._blocking = blocking
        self._keys = keys
        self._kept: deque[tuple[Position, Event]] = deque(maxlen=KEPT)
        self._count = 0  # of all entries ever kept; the last one's number
        self._era = 0
        self._listeners = 0
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._closed = False
        #: Redis does not answer the reader; it goes on trying.
        self.interrupted = False

    async def listen(self, after: Position | None) -> AsyncGenerator[Event, None]:
        """Events after a position; None: from now on. Raises RedisUnavailable on the first look only."""
        with self._listening():
            position = after
            looked = False
            era = number = failures = 0
            while not self._closed:
                if era and era == self._era and number >= self._count - len(self._kept):
                    news = list(islice(reversed(self._kept), self._count - number))
                    for place, event in reversed(news):
                        number += 1
                        if position is None or place > position:
                            position = place
                            yield event
                    if not news:
                        await self._news.wait()
                    continue
                # What the reader takes in from here on comes from there; what it has, is in this answer.
                # A look brings a part; what is kept serves again when a look found nothing more.
                era, standing, number = 0, self._era, self._count
                try:
                    held, entries = await stream.look(self._client, self._keys, position)
                except (RedisError, OSError) as error:
                    if not looked:
                        raise RedisUnavailable(
                            f"Redis did not answer for queue {self._keys.name!r} ({type(error).__name__})."
                        ) from error
                    await asyncio.sleep(pause(failures))
                    failures += 1
                    continue
                looked, failures = True, 0
                if position is None:
                    position = held.last
                onward, may_miss = resume(position, held)
                if may_miss:
                    yield gap(onward, held)
                    if onward != position:
                        position = onward
                        continue
                for entry in entries:
                    position = entry[0]
                    yield make_event(entry)
                if not entries:
                    era = standing
                    if standing == 0 == self._era:
                        await self._news.wait()  # the reader has not begun yet

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        self._listeners += 1
        if self._reader is None or self._reader.done():
            self._reader = asyncio.get_running_loop().create_task(self._read())
        try:
            yield
        finally:
            self._listeners -= 1
            if self._listeners == 0 and self._reader is not None:
                self._reader.cancel()
                self._reader = None  # the next listener starts one of its own

    async def _read(self) -> None:
        position: Position | None = None
        failures = 0
        while True:
            try:
                if position is None:
                    position = (await stream.ends(self._client, self._keys)).last
                    self._era += 1
                    self.interrupted = False
                    self._wake()
                entries = await stream.wait(self._blocking, self._keys, position, BLOCK_MS)
                failures = 0
                self.interrupted = False
                if entries:
                    position = entries[-1][0]
                    self._kept.extend((entry[0], make_event(entry)) for entry in entries)
                    self._count += len(entries)
                    self._wake()
                if len(entries) == stream.BATCH and await self._is_overrun(position):
                    position = None
            except (RedisError, OSError) as error:
                if failures == 0:
                    log.warning("events_interrupted", queue=self._keys.name, error=type(error).__name__)
                position = None
                self.interrupted = True
                await asyncio.sleep(pause(failures))
                failures += 1

    async def _is_overrun(self, position: Position) -> bool:
        """Is the stream trimmed faster than it is read?"""
        return (await stream.ends(self._client, self._keys)).first > position

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def close(self) -> None:
        """End all iterations."""
        self._closed = True
        self._wake()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)


def pause(failures: int) -> float:
    """Seconds before the next try after so many failed ones before the last."""
    first, most = RETRY_SECONDS
    return min(most, first * 2.0 ** min(failures, 30))


def start_of(after: str) -> Position | None:
    """The position that a caller names; None for "$", the end. Raises InvalidInput."""
    if after == "$":
        return None
    position = stream.parse(after)
    if position is None:
        raise InvalidInput(f"after={after[:50]!r}: give the id of an event, 0 for all, or $ for new ones.")
    return position
