"""Adding jobs through BullMQ's own scripts: those with a deduplication id.

addStandardJob, addDelayedJob and addPrioritizedJob add one job a call and say only which job is there in the
end. What is added in one turn of the event loop, and what is added while a call is under way, travels as one
transaction, in order. The queue's counter, read before each script, tells a new job from a kept one: it
would have the next number. A kept job's name and data are read in a second round trip, which only they cost.

The timestamp is the producer's clock, as with every BullMQ client: the scripts take no other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from corral.bullmq import redis_errors
from corral.bullmq.clock import server_ms
from corral.bullmq.keys import QueueKeys
from corral.bullmq.producer import MAX_BATCH_BYTES, MAX_BATCH_JOBS, NewJobs
from corral.bullmq.scripts import official

if TYPE_CHECKING:
    import redis.asyncio as aioredis

SCRIPTS = ("addStandardJob", "addDelayedJob", "addPrioritizedJob")

_pack = msgspec.msgpack.Encoder().encode


class Stored(NamedTuple):
    """The job that is there after an add. If it was there before, `existed`, and name and data are its own,
    or None if it has been removed since.
    """

    id: str
    existed: bool = False
    name: str | None = None
    data: bytes | None = None


class _Call(NamedTuple):
    """One job on its way."""

    job_id: str
    name: str
    script: str
    options: bytes
    dedup_id: str
    timestamp_ms: int
    data: str
    done: asyncio.Future[Stored]


class OfficialProducer:
    """Gathers such adds of one queue in one event loop."""

    def __init__(self, client: aioredis.Redis, keys: QueueKeys) -> None:
        self._client = client
        self._keys = keys
        k = keys
        self._script_keys = {
            "addStandardJob": [
                k.wait, k.paused, k.meta, k.id, k.completed, k.delayed, k.active, k.events, k.marker,
            ],
            "addDelayedJob": [k.marker, k.meta, k.id, k.delayed, k.completed, k.events],
            "addPrioritizedJob": [
                k.marker, k.meta, k.id, k.prioritized, k.delayed, k.completed, k.active, k.events, k.pc,
            ],
        }  # fmt: skip
        self._pending: deque[_Call] = deque()
        self._sender: asyncio.Task[None] | None = None

    async def add_all(self, jobs: Sequence[tuple[NewJobs, str]]) -> list[Stored]:
        """Add jobs, one in each NewJobs, with their deduplication ids. Raises what redis-py raises."""
        loop = asyncio.get_running_loop()
        now = await server_ms(self._client)
        calls = [_call(job, dedup_id, now, loop.create_future()) for job, dedup_id in jobs]
        self._pending += calls
        if self._sender is None or self._sender.done():
            self._sender = loop.create_task(self._send_all())
        results = await asyncio.gather(*(call.done for call in calls), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return cast("list[Stored]", results)

    async def _send_all(self) -> None:
        while self._pending:
            batch, size = [self._pending.popleft()], 0
            while self._pending and len(batch) < MAX_BATCH_JOBS:
                size += len(batch[-1].data)
                if size + len(self._pending[0].data) > MAX_BATCH_BYTES:
                    break
                batch.append(self._pending.popleft())
            try:
                await self._send(batch)
            except BaseException as error:
                reason = error if isinstance(error, Exception) else ConnectionError("the add was cut off")
                for call in batch:
                    _fail(call, reason)
                if not isinstance(error, Exception):
                    while self._pending:
                        _fail(self._pending.popleft(), reason)
                    raise

    async def _send(self, batch: list[_Call]) -> None:
        kept: list[tuple[_Call, str]] = []
        unknown = batch
        while unknown:
            unknown, found = await self._try(unknown)
            kept += found
            if unknown:  # the server was restarted, or never had the scripts
                for name in SCRIPTS:
                    await self._client.script_load(official(name).source)
        if kept:
            await self._read_kept(kept)

    async def _try(self, batch: list[_Call]) -> tuple[list[_Call], list[tuple[_Call, str]]]:
        """Send a batch. Returns what the server had no script for, and what met a kept job, with its id."""
        pipe = self._client.pipeline(transaction=True)
        for call in batch:
            # What the script answers is the same whether it adds a custom id or finds it there.
            pipe.exists(self._keys.job(call.job_id)) if call.job_id else pipe.get(self._keys.id)
            keys = self._script_keys[call.script]
            pipe.evalsha(
                official(call.script).sha, len(keys), *keys, self._arguments(call), call.data, call.options
            )
        replies: list[Any] = await pipe.execute(raise_on_error=False)
        unknown: list[_Call] = []
        kept: list[tuple[_Call, str]] = []
        for call, before, answer in zip(batch, replies[::2], replies[1::2], strict=True):
            if isinstance(answer, redis_errors.NoScriptError):
                unknown.append(call)
                continue
            if isinstance(answer, Exception):
                _fail(call, answer)
                continue
            stored = answer.decode() if isinstance(answer, bytes) else str(answer)
            if call.job_id:
                is_new = stored == call.job_id and not before
            else:
                is_new = stored == str(int(before or 0) + 1)
            if not is_new:
                kept.append((call, stored))
            else:
                _answer(call, Stored(stored))
        return unknown, kept

    def _arguments(self, call: _Call) -> bytes:
        none = None  # no parent, no schedule
        return _pack(
            [
                self._keys.base, call.job_id, call.name, call.timestamp_ms, none, none, none, none,
                self._keys.dedup(call.dedup_id),
            ]
        )  # fmt: skip

    async def _read_kept(self, kept: list[tuple[_Call, str]]) -> None:
        ids = list(dict.fromkeys(job_id for _, job_id in kept))
        pipe = self._client.pipeline(transaction=False)
        for job_id in ids:
            pipe.hmget(self._keys.job(job_id), "name", "data")
        jobs = dict(zip(ids, await pipe.execute(), strict=True))
        for call, job_id in kept:
            name, data = jobs[job_id]
            _answer(call, Stored(job_id, True, name.decode(errors="replace") if name else None, data))


def _call(job: NewJobs, dedup_id: str, now: int, done: asyncio.Future[Stored]) -> _Call:
    script = "addDelayedJob" if job.delay_ms else "addPrioritizedJob" if job.priority else "addStandardJob"
    options = _pack(msgspec.json.decode(job.options))
    return _Call(job.id, job.name, script, options, dedup_id, job.timestamp_ms or now, job.data[0], done)


def _answer(call: _Call, stored: Stored) -> None:
    if not call.done.done():  # its caller may have stopped waiting; the job is in all the same
        call.done.set_result(stored)


def _fail(call: _Call, reason: Exception) -> None:
    if not call.done.done():
        call.done.set_exception(reason)


async def holder(client: aioredis.Redis, keys: QueueKeys, dedup_id: str) -> str | None:
    """The id of the job that holds a deduplication id. One round trip."""
    value: Any = await client.get(keys.dedup(dedup_id))
    return None if value is None else value.decode()


async def release(client: aioredis.Redis, keys: QueueKeys, dedup_id: str) -> bool:
    """Let go of a deduplication id unless another job takes it meanwhile. Two round trips."""
    job_id = await holder(client, keys, dedup_id)
    if job_id is None:
        return False
    return bool(await official("removeDeduplicationKey")(client, [keys.dedup(dedup_id)], job_id))
