"""Reading across queues: one job id in many queues, the counts of all, whether Redis answers.

Queues on the same server are asked in one round trip, other servers at the same time. Every call is bounded
by ANSWER_SECONDS and raises RedisUnavailable after it: an HTTP caller gets its 503, never a hang.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from weakref import WeakKeyDictionary

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from corral.bullmq import reader
from corral.bullmq.codec import JobRecord
from corral.bullmq.connection import Address, shared_client
from corral.bullmq.failures import as_corral_error
from corral.errors import RedisUnavailable
from corral.queue import Queue
from corral.sealing import is_sealed

#: How long an HTTP caller waits for Redis. A healthy one answers in a millisecond.
ANSWER_SECONDS = 1.0

#: How long he waits for a look at all queues, once Redis has answered: some hundred times what it takes.
LOOK_SECONDS = 5.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Found:
    """A job as it stands in one queue. `status` is BullMQ's, but prioritized counts as waiting."""

    queue: str
    status: str
    record: JobRecord


@contextlib.asynccontextmanager
async def answering(seconds: float = ANSWER_SECONDS) -> AsyncIterator[None]:
    """Raise RedisUnavailable if what is inside fails at Redis or takes longer than `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise RedisUnavailable(f"Redis did not answer within {seconds:g} s. Try again.") from None
    except (RedisError, OSError) as error:
        raise as_corral_error(error, "the service") from error


@contextlib.asynccontextmanager
async def looking_at_many(client: aioredis.Redis) -> AsyncIterator[None]:
    """`answering` for what is inside when it reads of all queues. One round trip before it.

    Redis that is away is told within a second, as ever; one that is only busy has LOOK_SECONDS for many
    commands, and so has this process for what they answered.
    """
    async with answering():
        await client.ping()
    async with answering(LOOK_SECONDS):
        yield


class Lookup:
    """Reads for one service. Remembers each queue's address, because resolving it reads the settings."""

    def __init__(self, fallback: Address) -> None:
        self._fallback = fallback
        self._addresses: WeakKeyDictionary[Queue, Address] = WeakKeyDictionary()

    async def find(self, queues: Sequence[Queue], job_id: str) -> list[Found]:
        """The job in each queue that has it, in the order of `queues`."""

        async def read(client: aioredis.Redis, group: Sequence[Queue]) -> list[Found]:
            return await _find(client, group, job_id)

        async with answering():
            by_queue = {f.queue: f for found in await self._each_server(queues, read) for f in found}
        return [by_queue[q.name] for q in queues if q.name in by_queue]

    async def counts(self, queues: Sequence[Queue]) -> dict[str, dict[str, int]]:
        """Jobs by queue and state."""

        async def read(client: aioredis.Redis, group: Sequence[Queue]) -> dict[str, dict[str, int]]:
            counted = await reader.counts(client, [q.keys() for q in group])
            return {q.name: states for q, states in zip(group, counted, strict=True)}

        async with answering():
            parts = await self._each_server(queues, read)
        return {name: states for part in parts for name, states in part.items()}

    async def ping(self, queues: Iterable[Queue]) -> None:
        """Return when every server answered. Raises RedisUnavailable."""
        addresses = {self.address(q) for q in queues} or {self._fallback}
        async with answering():
            await asyncio.gather(*(_ping(shared_client(a)) for a in addresses))

    async def _each_server(
        self, queues: Sequence[Queue], read: Callable[[aioredis.Redis, Sequence[Queue]], Awaitable[_T]]
    ) -> list[_T]:
        groups: dict[Address, list[Queue]] = {}
        for queue in queues:
            groups.setdefault(self.address(queue), []).append(queue)
        return await asyncio.gather(*(read(shared_client(a), group) for a, group in groups.items()))

    def address(self, queue: Queue) -> Address:
        """Where the queue is. No round trip."""
        address = self._addresses.get(queue)
        if address is None:
            address = self._addresses[queue] = queue.address()
        return address


async def _find(client: aioredis.Redis, queues: Sequence[Queue], job_id: str) -> list[Found]:
    answers = await reader.find(client, [q.keys() for q in queues], job_id)
    return [
        Found(queue.name, "waiting" if answer[1] == "prioritized" else answer[1], _opened(queue, answer[0]))
        for queue, answer in zip(queues, answers, strict=True)
        if answer is not None
    ]


def _opened(queue: Queue, record: JobRecord) -> JobRecord:
    """Result and progress decrypted, where this service has the key."""
    sealing, value = queue.sealing, record.returnvalue
    progress = sealing.shown("progress", record.id, record.progress)
    if not is_sealed(value) and progress is record.progress:
        return record
    shown = None if value is None else sealing.show("result", record.id, value)
    return replace(record, returnvalue=shown, progress=progress)


async def _ping(client: aioredis.Redis) -> None:
    await client.ping()
