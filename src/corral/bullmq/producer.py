"""Adding jobs: what is added in one turn of the event loop travels in one call.

While two calls are under way, further adds gather for the next one, so a busy producer pays a fraction
of a round trip a job and a quiet one waits for nobody. An add is answered only when Redis has the job.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

import msgspec
import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import ours
from corral.errors import GroupFull

#: Jobs in one call. A call of this size holds the server for about 8 ms.
MAX_BATCH_JOBS = 1_000

#: Payload of one call; a larger job travels alone.
MAX_BATCH_BYTES = 4 * 1_048_576

#: Calls under way at once: one is on the wire while the server works on the other.
MAX_IN_FLIGHT = 2


class NewJobs(NamedTuple):
    """Jobs on their way to Redis that differ in their data alone, in the order that add.lua reads.

    With an id or a once_key there is one job.
    """

    id: str
    name: str
    options: str
    delay_ms: int
    priority: int
    lifo: bool
    timestamp_ms: int
    once_key: str
    once_ms: int
    data: list[str]
    #: Name of the group (`lock:<key>` for a lock), "": none; and how many may wait in it, 0: any number.
    group: str = ""
    group_size: int = 0


class Added(NamedTuple):
    """What became of an add. `existing_data` is set when the job was there before, and holds its data."""

    ids: list[str]
    existing_data: bytes | None = None


class _Group(NamedTuple):
    jobs: NewJobs
    size: int
    done: asyncio.Future[Added]


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

    async def add(self, jobs: NewJobs) -> Added:
        """Add jobs in order; at most MAX_BATCH_JOBS of them arrive as one. Raises what redis-py raises."""
        size = sum(map(len, jobs.data))
        if len(jobs.data) <= MAX_BATCH_JOBS and size <= MAX_BATCH_BYTES:
            return await self._enqueue(jobs, size)
        ids: list[str] = []
        for part in _parts(jobs.data):
            # One after the other: two calls travel on two connections, and the second may arrive first.
            ids += (await self._enqueue(jobs._replace(data=part), sum(map(len, part)))).ids
        return Added(ids)

    def _enqueue(self, jobs: NewJobs, size: int) -> asyncio.Future[Added]:
        done: asyncio.Future[Added] = self._loop.create_future()
        self._pending.append(_Group(jobs, size, done))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)
        return done

    def _flush(self) -> None:
        self._scheduled = False
        pending = self._pending
        while pending and len(self._in_flight) < MAX_IN_FLIGHT:
            batch: list[_Group] = []
            jobs = size = 0
            while pending:
                group = pending[0]
                count = len(group.jobs.data)
                if batch and (jobs + count > MAX_BATCH_JOBS or size + group.size > MAX_BATCH_BYTES):
                    break
                batch.append(pending.popleft())
                jobs += count
                size += group.size
            task = self._loop.create_task(self._send(batch))
            self._in_flight.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if self._pending and not self._scheduled:
            self._flush()

    async def _send(self, batch: list[_Group]) -> None:
        options: dict[str, int] = {}
        groups = [
            (*jobs[:2], options.setdefault(jobs.options, len(options) + 1), *jobs[3:]) for jobs, _, _ in batch
        ]
        try:
            argument = self._pack((self._base, 0, list(options), groups))
            answers = await self._script(self._client, self._keys, argument)
        except BaseException as error:
            reason = error if isinstance(error, Exception) else ConnectionError("the add was cut off")
            for group in batch:
                if not group.done.done():
                    group.done.set_exception(reason)
            if not isinstance(error, Exception):
                raise
            return
        for group, answer in zip(batch, answers, strict=True):
            if not group.done.done():  # its caller may have stopped waiting; the jobs are in all the same
                if isinstance(answer, list) and not answer[0]:
                    group.done.set_exception(GroupFull(_full(group.jobs.group, answer[1])))
                    continue
                group.done.set_result(_added(answer, len(group.jobs.data)))


def _parts(data: list[str]) -> list[list[str]]:
    """Cut a long list so that no call passes the bounds."""
    parts: list[list[str]] = [[]]
    size = 0
    for text in data:
        if parts[-1] and (len(parts[-1]) >= MAX_BATCH_JOBS or size + len(text) > MAX_BATCH_BYTES):
            parts.append([])
            size = 0
        parts[-1].append(text)
        size += len(text)
    return parts


def _full(group: str, waiting: bytes) -> str:
    return f"Group {group!r} holds {waiting.decode()} waiting jobs, its limit is reached. Add again later."


def _added(answer: int | list[bytes], count: int) -> Added:
    if isinstance(answer, int):
        return Added([str(answer + k) for k in range(count)])
    return Added([answer[0].decode()], answer[1] if len(answer) > 1 else None)
