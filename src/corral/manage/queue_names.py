"""The queues that there are: the declared ones, and those that a walk over the key space found.

With a million jobs a walk takes a second of Redis in small steps. So one walk serves all, it is made behind
the answers, and never takes more than a fiftieth of the time: every 15 s, or fifty times as long as the steps
of the last one took. After each step it rests for as long as that took, which is longer the more others ask;
it does not while somebody waits for its end. Who asks before the first one is over does wait, but not the
lists that can say that they are not whole (`so_far`): those have what is declared, what live workers serve,
and what the last walk of an earlier process found.

Emits: queues_not_found (error; error).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import NamedTuple

import structlog
from litestar import Litestar
from redis.exceptions import RedisError

from corral.api.lookup import answering
from corral.bullmq.discover import note_queues, noted_queues, queue_names
from corral.errors import RedisUnavailable, UnknownQueue
from corral.manage.service import Management
from corral.observe.stand import read_workers
from corral.queue import Queue

log = structlog.get_logger(__name__)

#: Between two walks, at least; and as many times as long as the steps of the last one took.
APART_SECONDS, SHARE = 15.0, 50.0

#: A step that nobody waits for is followed by a rest so many times as long.
REST = 1.0

#: How long the first callers wait for the first walk.
FIRST_SECONDS = 10.0

#: How old it may be while a list waits for it: enough for a small server, where the first list is whole then.
BRIEFLY_SECONDS = 0.05


class SoFar(NamedTuple):
    """Queues that are known. whole: a walk has looked at all that Redis holds."""

    queues: list[Queue]
    whole: bool


class QueueNames:
    """Finds the queues of one application."""

    def __init__(self, management: Management) -> None:
        self._management = management
        self._names: list[str] | None = None
        #: What an earlier process found.
        self._noted: list[str] | None = None
        self._next = 0.0
        self._walk: asyncio.Task[None] | None = None
        self._began = 0.0
        #: What the steps of the walk took, without its rests.
        self._busy = 0.0
        #: Callers that wait for its end.
        self._waiting = 0

    async def queues(self) -> list[Queue]:
        """The declared ones first. No round trip but for the first time. Raises RedisUnavailable."""
        if self._names is None:
            async with answering():
                await self._management.client.ping()  # who is away is told so at once
            self._waiting += 1
            try:
                async with answering(FIRST_SECONDS):
                    await asyncio.shield(self._begin())
            finally:
                self._waiting -= 1
        elif time.monotonic() >= self._next:
            self._begin()
        return self._chosen(self._names or ())

    async def so_far(self) -> SoFar:
        """`queues`, without waiting for a walk that takes long. Two round trips before it is over."""
        walk = self._begin() if self._names is None else None
        if walk is not None:
            await asyncio.wait([walk], timeout=max(0.0, self._began + BRIEFLY_SECONDS - time.monotonic()))
        if self._names is not None:
            return SoFar(await self.queues(), whole=True)
        management = self._management
        async with answering():
            if self._noted is None:
                self._noted = await noted_queues(management.client, management.prefix)
            workers = await read_workers(management.client, management.prefix)
        served = sorted({name for worker in workers for name in worker.queues})
        return SoFar(self._chosen([*self._noted, *served]), whole=False)

    def _begin(self) -> asyncio.Task[None]:
        if self._walk is None or self._walk.done():
            self._began, self._busy = time.monotonic(), 0.0
            self._walk = asyncio.create_task(self._find())
            self._walk.add_done_callback(_heard)
        return self._walk

    async def _find(self) -> None:
        self._next = self._began + APART_SECONDS  # also after one that fails
        client, prefix = self._management.client, self._management.prefix
        before, self._names = self._names, await queue_names(client, prefix, self._rest)
        self._next = time.monotonic() + max(APART_SECONDS, SHARE * self._busy)
        if self._names != before:
            await note_queues(client, prefix, self._names)

    async def _rest(self, took: float) -> None:
        self._busy += took
        await asyncio.sleep(0.0 if self._waiting else REST * took)

    def _chosen(self, names: Iterable[str]) -> list[Queue]:
        found = []
        for name in dict.fromkeys([*self._management.known.declared, *names]):
            with contextlib.suppress(UnknownQueue):  # the service is for its own queues alone
                found.append(self._management.queue(name))
        return found

    async def close(self) -> None:
        """End the walk that is under way."""
        if self._walk is not None:
            self._walk.cancel()
            await asyncio.wait([self._walk])


def _heard(walk: asyncio.Task[None]) -> None:
    """A walk that failed behind an answer is made again; whoever waited for it was told."""
    if not walk.cancelled():
        error = walk.exception()
        if error is not None and not isinstance(error, (RedisError, OSError, RedisUnavailable)):
            asyncio.get_running_loop().call_exception_handler(
                {"message": "queues not found", "exception": error}
            )


def names_of(app: Litestar, management: Management) -> QueueNames:
    """The application's own; it ends with it."""
    found: QueueNames | None = app.state.get("queue_names")
    if found is None:
        found = app.state.queue_names = QueueNames(management)
        app.on_shutdown.append(found.close)
    return found
