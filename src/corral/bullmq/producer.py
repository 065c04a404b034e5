"""Adding jobs: what is added in one turn of the event loop travels in one call.

While two calls are under way, further adds gather for the next one, so a busy producer pays a fraction
of a round trip a job and a quiet one waits for nobody. An add is answered only when Redis has the job.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import ours

#: Jobs in one call. A call of this size holds the server for about 8 ms.
MAX_BATCH_JOBS = 1_000

#: Payload of one call; a larger job travels alone.
MAX_BATCH_BYTES = 4 * 1_048_576

#: Calls under way at once: one is on the wire while the server works on the other.
MAX_IN_FLIGHT = 2


class NewJob(NamedTuple):
    """A job on its way to Redis, in the order that add.lua reads."""

    id: str
    name: str
    data: str
    options: str
    delay_ms: int
    priority: int
    lifo: bool
    timestamp_ms: int
    once_key: str
    once_ms: int


@dataclass(frozen=True, slots=True)
class Added:
    """What became of an add. `existing_data` is set when the job was there before, and holds its data."""

    id: str
    existing_data: bytes | None = None


class _Group(NamedTuple):
    jobs: list[NewJob]
    done: asyncio.Future[list[Added]]


class Producer:
    """Gathers the adds of one queue in one event loop."""

    def __init__(self, client: aioredis.Redis, keys: QueueKeys) -> None:
        self._client = client
        self._keys = [
            keys.wait, keys.prioritized, keys.delayed, keys.active, keys.meta, keys.id, keys.pc, keys.marker,
            keys.events,
        ]  # fmt: skip
        self._base = keys.base
        self._script = ours("add")
        self._pack = msgspec.msgpack.Encoder().encode
        self._loop = asyncio.get_running_loop()
        self._pending: deque[_Group] = deque()
        self._scheduled = False
        self._in_flight: set[asyncio.Task[None]] = set()

    async def add(self, jobs: list[NewJob]) -> list[Added]:
        """Add jobs; at most MAX_BATCH_JOBS of them arrive as one. Raises what redis-py raises."""
        if not jobs:
            return []
        groups = [_Group(part, self._loop.create_future()) for part in _parts(jobs)]
        self._pending.extend(groups)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)
        if len(groups) == 1:
            return await groups[0].done
        answers = await asyncio.gather(*(group.done for group in groups))
        return [added for answer in answers for added in answer]

    def _flush(self) -> None:
        self._scheduled = False
        while self._pending and len(self._in_flight) < MAX_IN_FLIGHT:
            batch: list[_Group] = []
            jobs = size = 0
            while self._pending:
                group = self._pending[0]
                weight = sum(len(job.data) for job in group.jobs)
                if batch and (jobs + len(group.jobs) > MAX_BATCH_JOBS or size + weight > MAX_BATCH_BYTES):
                    break
                batch.append(self._pending.popleft())
                jobs += len(group.jobs)
                size += weight
            task = self._loop.create_task(self._send(batch))
            self._in_flight.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if self._pending and not self._scheduled:
            self._flush()

    async def _send(self, batch: list[_Group]) -> None:
        options: dict[str, int] = {}
        rows = [
            (*job[:3], options.setdefault(job.options, len(options) + 1), *job[4:])
            for group in batch
            for job in group.jobs
        ]
        try:
            answers = await self._script(
                self._client, self._keys, self._pack((self._base, 0, list(options), rows))
            )
        except BaseException as error:
            for group in batch:
                if not group.done.done():
                    group.done.set_exception(
                        error if isinstance(error, Exception) else ConnectionError("the add was cut off")
                    )
            if not isinstance(error, Exception):
                raise
            return
        start = 0
        for group in batch:
            end = start + len(group.jobs)
            if not group.done.done():  # its caller may have stopped waiting; the jobs are in all the same
                group.done.set_result([_added(answer) for answer in answers[start:end]])
            start = end


def _parts(jobs: list[NewJob]) -> list[list[NewJob]]:
    """Cut a long list so that no call passes the bounds."""
    parts: list[list[NewJob]] = [[]]
    size = 0
    for job in jobs:
        weight = len(job.data)
        if parts[-1] and (len(parts[-1]) >= MAX_BATCH_JOBS or size + weight > MAX_BATCH_BYTES):
            parts.append([])
            size = 0
        parts[-1].append(job)
        size += weight
    return parts


def _added(answer: bytes | list[bytes]) -> Added:
    if isinstance(answer, list):
        return Added(answer[0].decode(), answer[1])
    return Added(answer.decode())
