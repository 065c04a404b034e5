"""The queues that there are: the declared ones, and those that a walk over the key space found.

With a million jobs a walk takes a second of Redis in small steps. So one walk serves all, it is made behind
the answers, and never takes more than a fiftieth of the time: every 15 s, or fifty times as long as the last
one took. Only who asks before the first one is over waits for it.

Emits: queues_not_found (error; error).
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog
from litestar import Litestar
from redis.exceptions import RedisError

from corral.api.lookup import answering
from corral.bullmq.discover import queue_names
from corral.errors import RedisUnavailable, UnknownQueue
from corral.manage.service import Management
from corral.queue import Queue

log = structlog.get_logger(__name__)

#: Between two walks, at least; and as many times as long as the last one took.
APART_SECONDS, SHARE = 15.0, 50.0

#: How long the first callers wait for the first walk.
FIRST_SECONDS = 10.0


class QueueNames:
    """Finds the queues of one application."""

    def __init__(self, management: Management) -> None:
        self._management = management
        self._names: list[str] | None = None
        self._next = 0.0
        self._walk: asyncio.Task[None] | None = None

    async def queues(self) -> list[Queue]:
        """The declared ones first. No round trip but for the first time. Raises RedisUnavailable."""
        if self._names is None:
            async with answering():
                await self._management.client.ping()  # who is away is told so at once
            async with answering(FIRST_SECONDS):
                await asyncio.shield(self._begin())
        elif time.monotonic() >= self._next:
            self._begin()
        return self._chosen()

    def begin(self) -> None:
        """Begin the first walk, so that the first caller waits for less of it."""
        self._begin()

    def _begin(self) -> asyncio.Task[None]:
        if self._walk is None or self._walk.done():
            self._walk = asyncio.create_task(self._find())
            self._walk.add_done_callback(_heard)
        return self._walk

    async def _find(self) -> None:
        started = time.monotonic()
        self._next = started + APART_SECONDS  # also after one that fails
        self._names = await queue_names(self._management.client, self._management.prefix)
        ended = time.monotonic()
        self._next = ended + max(APART_SECONDS, SHARE * (ended - started))

    def _chosen(self) -> list[Queue]:
        found = []
        for name in dict.fromkeys([*self._management.known.declared, *(self._names or ())]):
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
