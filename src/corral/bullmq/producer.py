"""Adding jobs: what is added in one turn of the event loop travels in one call.

While two calls are under way, further adds gather for the next one, so a busy producer pays a fraction
of a round trip a job and a quiet one waits for nobody. A call that is full leaves at once, in the middle of
the turn, so that Redis works while Python goes on adding. An add is answered only when Redis has the job.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import ours
from corral.errors import GroupFull

if TYPE_CHECKING:
    import redis.asyncio as aioredis

    from corral.bullmq.line import Line

#: Jobs in one call. A call of this size holds the server for about 8 ms.
MAX_BATCH_JOBS = 1_000

#: A call that holds so many takes no further group: the answers of one call are read while the server works
#: on the next, which is faster than one large call.
ENOUGH_JOBS = 250

#: Payload of one call; a larger job travels alone.
MAX_BATCH_BYTES = 4 * 1_048_576

#: Calls under way at once: one is on the wire while the server works on the other.
MAX_IN_FLIGHT = 2

#: Full ones on the line, which together hold the server for as long as one of MAX_BATCH_JOBS.
MAX_ON_LINE = 4

#: A larger call takes the ordinary way, which waits for a slow socket.
MAX_LINE_BYTES = 262_144


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

    def holding(self, data: list[str]) -> NewJobs:
        """The same with this data: `_replace`, at a third of its price."""
        return NewJobs(
            self.id, self.name, self.options, self.delay_ms, self.priority, self.lifo, self.timestamp_ms,
            self.once_key, self.once_ms, data, self.group, self.group_size,
        )  # fmt: skip


#: Where NewJobs has its data.
DATA = NewJobs._fields.index("data")


class Added(NamedTuple):
    """What became of an add. When the job was there before, the other two are set: its data and its name."""

    ids: list[str]
    existing_data: bytes | None = None
    existing_name: str | None = None


class _Group:
    """Jobs of one kind that travel together: of one caller, or of several that each wait for theirs."""

    __slots__ = ("callers", "data", "jobs", "size", "whole")

    def __init__(
        self, jobs: NewJobs, data: list[str], size: int, whole: asyncio.Future[Added] | None
    ) -> None:
        self.jobs = jobs
        self.data = data
        self.size = size
        #: The one caller.
        self.whole = whole
        #: Else, a caller for each job.
        self.callers: list[asyncio.Future[str]] = []

    def answer(self, answer: int | list[bytes]) -> None:
        # Who waited may have stopped waiting; the jobs are in all the same.
        if self.whole is None:
            assert isinstance(answer, int)  # noqa: S101  # without an id or a key nothing can have been there
            for number, caller in enumerate(self.callers, answer):
                if not caller.done():
                    caller.set_result(str(number))
        elif not self.whole.done():
            try:
                self.whole.set_result(read_answer(answer, self.jobs, len(self.data)))
            except GroupFull as full:
                self.whole.set_exception(full)

    def fail(self, reason: Exception) -> None:
        for caller in [self.whole] if self.whole is not None else self.callers:
            if not caller.done():
                caller.set_exception(reason)


class Producer:
    """Gathers the adds of one queue in one event loop."""

    def __init__(self, client: aioredis.Redis, keys: QueueKeys, line: Line) -> None:
        self._client = client
        self._line = line
        self._on_line = 0
        self._keys = [
            keys.wait, keys.prioritized, keys.delayed, keys.active, keys.meta, keys.id, keys.pc, keys.marker,
            keys.events,
        ]  # fmt: skip
        self._base = keys.base
        self._script = ours("add")
        self._pack = msgspec.msgpack.Encoder().encode
        self._loop = asyncio.get_running_loop()
        self._pending: deque[_Group] = deque()
        self._last: _Group | None = None  # where the next single job may join
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

    def add_one(self, jobs: NewJobs, text: str) -> asyncio.Future[str]:
        """Add one job without an id or a key; the future gives its id. Neighbours of one kind join."""
        group = self._last
        if (
            group is None
            or group.jobs is not jobs
            or len(group.data) >= ENOUGH_JOBS
            or group.size > MAX_BATCH_BYTES // 4
        ):
            group = self._last = _Group(jobs, [], 0, None)
            self._append(group)
        done: asyncio.Future[str] = self._loop.create_future()
        group.data.append(text)
        group.callers.append(done)
        group.size += len(text)
        if len(group.data) == ENOUGH_JOBS and self._line.is_open():
            self._flush()
        return done

    def _enqueue(self, jobs: NewJobs, size: int) -> asyncio.Future[Added]:
        done: asyncio.Future[Added] = self._loop.create_future()
        self._last = None  # what comes later stays behind
        self._append(_Group(jobs, jobs.data, size, done))
        return done

    def _append(self, group: _Group) -> None:
        self._pending.append(group)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn_ends)

    def _turn_ends(self) -> None:
        self._scheduled = False
        self._flush()

    def _flush(self) -> None:
        pending = self._pending
        while pending and self._has_room():
            batch: list[_Group] = []
            jobs = size = 0
            while pending and jobs < ENOUGH_JOBS:
                group = pending[0]
                count = len(group.data)
                if batch and (jobs + count > MAX_BATCH_JOBS or size + group.size > MAX_BATCH_BYTES):
                    break
                if group is self._last:
                    self._last = None
                batch.append(pending.popleft())
                jobs += count
                size += group.size
            if size <= MAX_LINE_BYTES and self._line.is_open():
                self._write(batch)
                continue
            task = self._loop.create_task(self._send(batch))
            self._in_flight.add(task)
            task.add_done_callback(self._sent)

    def _has_room(self) -> bool:
        under_way = len(self._in_flight) + self._on_line
        if under_way < MAX_IN_FLIGHT:
            return True
        return under_way < MAX_ON_LINE and len(self._pending[0].data) >= ENOUGH_JOBS and self._line.is_open()

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._go_on()

    def _go_on(self) -> None:
        if self._pending and not self._scheduled:
            self._flush()

    def _write(self, batch: list[_Group]) -> None:
        def answered(answers: Any) -> None:
            self._on_line -= 1
            if isinstance(answers, Exception):
                _fail(batch, answers)
            else:
                _answer(batch, answers)
            self._go_on()

        try:
            self._line.send(self._script, self._keys, self._argument(batch), answered)
        except Exception as error:
            _fail(batch, error)
            return
        self._on_line += 1

    async def _send(self, batch: list[_Group]) -> None:
        try:
            answers = await self._script(self._client, self._keys, self._argument(batch))
        except BaseException as error:
            _fail(batch, error if isinstance(error, Exception) else ConnectionError("the add was cut off"))
            if not isinstance(error, Exception):
                raise
            return
        _answer(batch, answers)

    def _argument(self, batch: list[_Group]) -> bytes:
        options: dict[str, int] = {}
        groups = [
            (
                *group.jobs[:2],
                options.setdefault(group.jobs.options, len(options) + 1),
                *group.jobs[3:DATA],
                group.data,
                *group.jobs[DATA + 1 :],
            )
            for group in batch
        ]
        return self._pack((self._base, 0, list(options), groups))


def _answer(batch: list[_Group], answers: list[int | list[bytes]]) -> None:
    for group, answer in zip(batch, answers, strict=True):
        group.answer(answer)


def _fail(batch: list[_Group], reason: Exception) -> None:
    for group in batch:
        group.fail(reason)


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


def read_answer(answer: int | list[bytes], jobs: NewJobs, count: int) -> Added:
    """One entry of what add.lua returns, for a group of `count` jobs. Raises GroupFull."""
    if isinstance(answer, int):
        return Added([str(answer + k) for k in range(count)])
    if not answer[0]:
        raise GroupFull(
            f"Group {jobs.group!r} holds {answer[1].decode()} waiting jobs, its limit is reached. "
            "Add again later."
        )
    if len(answer) == 1:
        return Added([answer[0].decode()])
    return Added([answer[0].decode()], answer[1], answer[2].decode(errors="replace"))
