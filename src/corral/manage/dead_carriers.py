"""Background work of the HTTP service at the dead letter desk: it carries on the operations that it was
asked for, and brings the index of a queue up to date while somebody looks at it.

One task a queue and kind, so that a thousand callers start no more than one caller does. What nobody waits
for is indexed one queue after the other, and rests between two steps: two hundred queues at once, or forty
thousand failures in a row, held up every answer that came meanwhile. All end with the service; what they
carried goes on elsewhere.

Emits: desk_not_tended (warning; queue, error).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog
from litestar import Litestar

from corral.bulk.desk import BulkDesk
from corral.deadletters.indexing import Indexer
from corral.errors import RedisUnavailable
from corral.queue import Queue

log = structlog.get_logger(__name__)

#: How long a reader waits for the index; what is not indexed by then is in the next answer.
PATIENCE_SECONDS = 0.05

#: Behind the answers a step of indexing is followed by a rest so many times as long, and looks at so many:
#: a millisecond or two of Redis, since an answer may meet one at each of its round trips.
REST, LOOKS = 3.0, 250


class Carriers:
    """The tasks of one application."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._one_behind = asyncio.Semaphore(1)

    def carry(self, queue: Queue) -> None:
        """Carry on the queue's operations, also those that wait for a breaker, until none is left."""
        self._start(queue, "carry", queue.dead.carry_on(wait=True))

    def carry_bulk(self, queue: Queue) -> None:
        """The same for operations on lists of jobs."""
        self._start(queue, "bulk", BulkDesk(queue).carry_on())

    def begin_index(self, queue: Queue) -> None:
        """Index what is new in the background, when it is this queue's turn.

        A kind of its own: who waits for a queue's index (`index`) neither queues up here nor rests.
        """
        self._start(queue, "index behind", self._index_behind(queue))

    async def _index_behind(self, queue: Queue) -> None:
        async with self._one_behind:
            with queue.redis_errors():
                await Indexer(queue, rest=REST, looks=LOOKS).turn()

    async def index(self, queue: Queue) -> None:
        """Index what is new, for as long as a reader may wait; beyond that in the background."""
        await asyncio.wait([self._start(queue, "index", _index(queue))], timeout=PATIENCE_SECONDS)

    def _start(self, queue: Queue, kind: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        key = (queue.name, kind)
        running = self._tasks.get(key)
        if running is not None:
            work.close()
            return running
        task = self._tasks[key] = asyncio.create_task(_quietly(queue, work))
        task.add_done_callback(lambda _: self._tasks.pop(key, None))
        return task

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def carriers_of(app: Litestar) -> Carriers:
    """The application's own; they end with it."""
    found: Carriers | None = app.state.get("dead_carriers")
    if found is None:
        found = app.state.dead_carriers = Carriers()
        app.on_shutdown.append(found.close)
    return found


async def _index(queue: Queue) -> None:
    await queue.dead.index()


async def _quietly(queue: Queue, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except RedisUnavailable as error:
        log.warning("desk_not_tended", queue=queue.name, error=type(error.__cause__ or error).__name__)
    except Exception:  # nobody awaits it
        log.exception("desk_broke", queue=queue.name)
