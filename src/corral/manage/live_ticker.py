"""One look a second for everybody who listens: what changed goes to all of them.

It runs only while somebody listens, and costs Redis the same for one browser as for two hundred. A listener
has no queue of messages: what it was not sent yet is one set of topics, so that a slow one costs nothing.
While Redis is away the listeners are told so once, and the looks go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

from litestar import Litestar

from corral.api.lookup import answering
from corral.bullmq import digests
from corral.errors import RedisUnavailable
from corral.manage.live_digest import Digest, changed, digest
from corral.manage.queue_names import QueueNames, names_of
from corral.manage.service import Management
from corral.manage.streaming import Streams

#: From one look to the next.
EVERY_SECONDS = 1.0

#: Listeners of one process, and how often each is asked whether it may still listen.
MOST_LISTENERS, RECHECK_SECONDS = 200, 60.0


class Listener:
    """What one browser is still to be told. `job`: `queue/id` of the one that it shows, if any."""

    def __init__(self, job: str | None) -> None:
        self.job = job
        self._topics: set[str] = set()
        self._news = asyncio.Event()

    def tell(self, topics: frozenset[str]) -> None:
        mine = {topic for topic in topics if not topic.startswith("job:") or topic == f"job:{self.job}"}
        if mine:
            self._topics |= mine
            self._news.set()

    def wake(self) -> None:
        """Look at what has changed but topics: whether Redis is away, whether all ends."""
        self._news.set()

    async def news(self, seconds: float) -> list[str]:
        """Topics that changed since the last call; waits for some, up to `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()
        topics, self._topics = sorted(self._topics), set()
        return topics


class Live:
    """The listeners of one application, and the looks for them."""

    def __init__(self, management: Management, names: QueueNames) -> None:
        self._management = management
        self._names = names
        self._listeners: set[Listener] = set()
        self._looking: asyncio.Task[None] | None = None
        #: Since when Redis does not answer, epoch seconds; None: it does.
        self.away: float | None = None
        self.streams = Streams(MOST_LISTENERS, RECHECK_SECONDS)

    @contextlib.contextmanager
    def listening(self, job: str | None) -> Iterator[Listener]:
        """A listener for as long as the block lasts. The first one begins the looks."""
        listener = Listener(job)
        self._listeners.add(listener)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_on())
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def end(self) -> None:
        """Let all streams end now."""
        self.streams.stopping.set()
        for listener in self._listeners:
            listener.wake()

    async def close(self) -> None:
        """End the looks."""
        self.end()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def _look_on(self) -> None:
        before: Digest | None = None
        while self._listeners and not self.streams.stopping.is_set():
            started = time.monotonic()
            try:
                after = await self._look()
            except RedisUnavailable:
                if self.away is None:
                    self.away = time.time()
                    self._wake_all()
            else:
                if self.away is not None:
                    self.away = None
                    self._wake_all()
                topics = changed(before, after)
                for listener in self._listeners:
                    listener.tell(topics)
                before = after
            await asyncio.sleep(max(0.0, started + EVERY_SECONDS - time.monotonic()))
        self.away = None  # nobody looks

    def _wake_all(self) -> None:
        for listener in self._listeners:
            listener.wake()

    async def _look(self) -> Digest:
        """Two round trips, some at once; more before all queues are found. Raises RedisUnavailable within a
        second."""
        client, prefix = self._management.client, self._management.prefix
        queues = [queue.keys() for queue in (await self._names.so_far()).queues]
        asked = sorted({listener.job for listener in self._listeners if listener.job is not None})
        places = [job.partition("/") for job in asked]
        jobs = [(self._management.queue(queue).keys(), job_id) for queue, _, job_id in places]
        async with answering():
            of_queues, of_jobs, shared = await asyncio.gather(
                digests.of_queues(client, queues),
                digests.of_jobs(client, jobs),
                digests.shared(client, prefix),
            )
        by_name = {keys.name: one for keys, one in zip(queues, of_queues, strict=True)}
        return digest(time.monotonic(), by_name, shared, dict(zip(asked, of_jobs, strict=True)))


def live_of(app: Litestar, management: Management) -> Live:
    """The application's own; it ends with it."""
    found: Live | None = app.state.get("live")
    if found is None:
        found = app.state.live = Live(management, names_of(app, management))
        app.on_shutdown.append(found.close)
    return found


def end_live(app: Litestar) -> None:
    """Let all live streams of the application end, before its server waits for open requests."""
    found: Live | None = app.state.get("live")
    if found is not None:
        found.end()
