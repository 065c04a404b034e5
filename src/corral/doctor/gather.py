"""Gathering the facts: from the settings, this machine, and Redis, within a time limit.

Redis is asked in parts that fail by themselves: what a part could not look at is None, and the checks that
need it say unknown. Nothing hangs: who does not answer within `seconds` is away.

Cost: some 25 round trips, and a walk over the key space for the queues' names.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from redis.exceptions import RedisError, ResponseError

from corral.admin import QueueMeta, read_metas
from corral.breakers import Breakers
from corral.bullmq import inspecting, reader
from corral.bullmq.connection import Address, shared_client
from corral.bullmq.discover import queue_names
from corral.bullmq.failures import code
from corral.bullmq.keys import QueueKeys
from corral.doctor.facts import Declared, Facts, Place, QueueFacts, Server
from corral.doctor.machine import look_at_machine, place_of
from corral.doctor.server_facts import server_of
from corral.errors import CorralError, RedisRefused, RedisUnavailable
from corral.observe.stand import read_standing, read_workers
from corral.observe.standing import BreakerStanding, QueueStanding
from corral.queue import Queue
from corral.scaling import ScalingDecision, scaling_decisions
from corral.settings import Settings

#: Seconds for all questions to Redis together.
SECONDS = 5.0

#: Queues whose state is read; a server with more has other worries.
MOST_QUEUES = 200

_T = TypeVar("_T")


async def gather(
    settings: Settings,
    declared: Mapping[str, Queue],
    *,
    seconds: float = SECONDS,
    names: Sequence[str] | None = None,
) -> Facts:
    """Everything that can be seen from here. Takes `seconds` at most, and two more for a slow name server.

    declared: the queues that were loaded. names: those that Redis holds, if that is known; else they are
    looked for.
    Raises ConfigurationError for an address of Redis that cannot work; nothing else.
    """
    address = Address.resolve(settings=settings)
    machine, place = look_at_machine(), await place_of(address)
    known = Facts(at=time.time(), settings=settings, machine=machine, place=place)
    if not place.named:
        return replace(known, unreachable="its name has no address here, or no name server answers")
    asking = _Asking(address, settings, declared, names, asyncio.get_running_loop().time() + seconds)
    return await asking.all(known)


class _Asking:
    """One round of questions to Redis."""

    def __init__(
        self,
        address: Address,
        settings: Settings,
        declared: Mapping[str, Queue],
        names: Sequence[str] | None,
        until: float,
    ) -> None:
        self._address = address
        self._settings = settings
        self._prefix = settings.prefix
        self._declared = declared
        self._names = names
        self._until = until
        self._client = shared_client(address)

    async def all(self, known: Facts) -> Facts:
        try:
            async with asyncio.timeout_at(self._until):
                await self._ping()
        except TimeoutError:
            return replace(known, unreachable="no answer in time")
        except (RedisError, OSError, CorralError) as error:
            return replace(known, unreachable=_reason(error))
        server = await self._part(lambda: self._server(known.place))
        queues = await self._part(self._queues)  # a walk over all keys: the only part that may take long
        if server is not None:
            name = queues[0].name if queues else inspecting.SCRATCH_QUEUE
            server = replace(server, lacking_rights=await self._part(lambda: self._lacking_rights(name)))
        return replace(
            known,
            server=server,
            queues=queues,
            workers=await self._part(lambda: read_workers(self._client, self._prefix)),
            breakers=await self._part(self._breakers),
            last_scaling=await self._part(self._last_scaling),
        )

    async def _part(self, ask: Callable[[], Awaitable[_T]]) -> _T | None:
        try:
            async with asyncio.timeout_at(self._until):
                return await ask()
        except (RedisError, OSError, TimeoutError, CorralError):
            return None

    async def _ping(self) -> None:
        try:
            await self._client.ping()
        except ResponseError as error:
            if code(error) != "NOPERM":  # it is there, and knows us
                raise

    # The server

    async def _server(self, place: Place) -> Server:
        client, address = self._client, self._address
        inspected = await inspecting.inspect(client)
        clocks = await self._part(lambda: inspecting.clocks(client))
        # Who shows no password himself and is served need not send a stranger to ask.
        anyone: bool | None = True
        if place.password.get_secret_value():
            anyone = await self._part(lambda: inspecting.lets_anyone_in(address))
        return server_of(inspected, self._prefix, clocks=clocks, lets_anyone_in=anyone)

    async def _lacking_rights(self, queue: str) -> str:
        keys = QueueKeys(self._prefix, queue)
        return await inspecting.lacking_rights(self._client, self._address, keys)

    # Queues

    async def _queues(self) -> tuple[QueueFacts, ...]:
        names = self._names if self._names is not None else await queue_names(self._client, self._prefix)
        here = [self._queue(name) for name in names[:MOST_QUEUES]]
        queues = [queue for queue in here if queue.address(self._settings) == self._address]
        keys = [queue.keys() for queue in queues]
        metas = await read_metas(self._client, keys)
        standing = await self._part(lambda: read_standing(queues, server=False, minutes=0))
        stand = standing.queues if standing is not None else {}
        if standing is not None:
            counts = [stand[queue.name].counts for queue in queues]
        else:
            counts = list(await reader.counts(self._client, keys))
        return tuple(
            self._facts(queue, counted, meta, stand.get(queue.name))
            for queue, counted, meta in zip(queues, counts, metas, strict=True)
        )

    def _queue(self, name: str) -> Queue:
        declared = self._declared.get(name)
        if declared is not None:
            return declared
        return Queue(name, redis_url=self._address.url, prefix=self._prefix).settle(self._settings)

    def _facts(
        self, queue: Queue, counts: Mapping[str, int], meta: QueueMeta, stand: QueueStanding | None
    ) -> QueueFacts:
        declared = None
        if queue.name in self._declared:
            declared = Declared(retention=queue.retention, rate_limit=queue.rate_limit, timeout=queue.timeout)
        return QueueFacts(
            name=queue.name,
            declared=declared,
            counts=counts,
            paused=meta.paused,
            rate_limit=meta.rate_limit,
            written_by=meta.written_by,
            old_clients=meta.old_clients,
            unknown_names=stand.unknown_names if stand else None,
            late_schedules=stand.late_schedules if stand else None,
        )

    async def _last_scaling(self) -> ScalingDecision | None:
        newest = await scaling_decisions(self._client, self._prefix, count=1)
        return newest[0] if newest else None

    async def _breakers(self) -> tuple[BreakerStanding, ...]:
        return tuple(
            BreakerStanding(name=b.name, state=b.state, held=b.held, reason=b.reason, since=b.since)
            for b in await Breakers(self._address.url, self._prefix, settings=self._settings).all()
        )


def _reason(error: Exception) -> str:
    """Why Redis did not answer, without anything of the address."""
    if isinstance(error, (RedisRefused, RedisUnavailable)):
        return str(error)
    name = code(error)
    if name in ("NOAUTH", "WRONGPASS"):
        return "it refuses user or password"
    return {"ConnectionError": "no connection", "TimeoutError": "no answer in time"}.get(name, name)
