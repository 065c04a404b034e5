"""The worker: feeds for its queues, one lock keeper, a stop that loses nothing, and an honest health.

`Worker(queue, …, concurrency=100).run()` runs until SIGTERM or SIGINT. Then no new job is taken, running
jobs get the grace time, and what is left goes back to its queue without spending an attempt; a thread
cannot be stopped, so its job may run twice. A second signal ends the grace time at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from redis.exceptions import RedisError

from corral.breaker import Rules
from corral.bullmq import reader
from corral.bullmq.access import check_access
from corral.bullmq.connection import Address, blocking_client, shared_client
from corral.bullmq.consumer import Consumer
from corral.bullmq.failures import code, explain_refusal, is_outage, is_refusal
from corral.connected import check_layout
from corral.errors import ConfigurationError, RedisUnavailable
from corral.groups import wire_limits
from corral.queue import Queue
from corral.resources import declare_resource
from corral.settings import Settings
from corral.surroundings import declare_middleware
from corral.worker.around import Around, Equipment
from corral.worker.batches import slots_of
from corral.worker.boards import Boards, boards_here
from corral.worker.control import Control
from corral.worker.feed import Feed
from corral.worker.locks import LockKeeper
from corral.worker.outage import pause
from corral.worker.processes.handlers import check_found, only_processes
from corral.worker.processes.pool import ProcessPool

log = structlog.get_logger(__name__)

#: Slots of a queue that does not bound itself.
DEFAULT_CONCURRENCY = 20

#: Threads for `def` handlers, for all queues of the process together.
MAX_THREADS = 32

#: What Redis gets, after the grace time, to take jobs back; without it their locks run out by themselves.
PUT_BACK_SECONDS = 5.0

#: A feed whose Redis has not answered for so long is not well. Above one poll plus its answer.
SILENT_SECONDS = 15.0


class Worker:
    """Runs the jobs of the given queues in this process.

    concurrency: slots for each queue; a queue that declares fewer keeps to its own number, one with batches
        gets what its batches need.
    name: how it is shown in dashboards and CLIENT LIST; default host-pid.
    resources, middleware: as `Queue.resource` and `Queue.middleware`, for all queues of this worker. Its
        middleware goes around that of the queues.
    processes: child processes for handlers with isolation="process", for all queues; default one a core.
    max_jobs_per_child: a child is replaced after so many jobs; default never.
    max_child_memory_mb: a child over it is killed, which fails its job; default no limit.
    """

    def __init__(
        self,
        *queues: Queue,
        concurrency: int = DEFAULT_CONCURRENCY,
        name: str | None = None,
        resources: Sequence[Callable[..., Any]] = (),
        middleware: Sequence[Callable[..., Any]] = (),
        processes: int | None = None,
        max_jobs_per_child: int | None = None,
        max_child_memory_mb: float | None = None,
    ) -> None:
        if not queues:
            raise ConfigurationError("A worker needs at least one queue: Worker(my_queue).")
        if concurrency < 1:
            raise ConfigurationError(f"concurrency={concurrency}: at least one slot.")
        self.queues = queues
        self.concurrency = concurrency
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        if not all("!" <= character <= "~" for character in self.name):
            raise ConfigurationError(f"name={self.name!r}: Redis takes ASCII without white space.")
        local_names = sys._getframe(1).f_locals  # noqa: SLF001  # types declared beside nested functions
        self._resources = [declare_resource(function, local_names) for function in resources]
        self._middleware = [declare_middleware(function, local_names) for function in middleware]
        self._boards: Boards | None = None
        self._pool = ProcessPool(processes, max_jobs=max_jobs_per_child, max_memory_mb=max_child_memory_mb)
        self._feeds: list[Feed] = []
        self._keepers: list[LockKeeper] = []
        self._stop: asyncio.Event | None = None
        self._hurry: asyncio.Event | None = None
        self._stopped = False

    async def run(self, *, until_empty: bool = False) -> None:
        """Run until `stop` or a signal; with `until_empty`, until no job waits or runs (delayed ones may).

        Raises RedisUnavailable only if `until_empty`: a service waits for Redis as long as it takes.
        Raises ConfigurationError if a handler asks for a resource that nothing gives, and what a resource or
        a startup hook raises.
        """
        settings = Settings.load()
        for queue in self.queues:
            check_found(queue)
        equipment = Equipment(self.queues, self._resources, self._middleware, settings)
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()
        if self._stopped:
            self._stop.set()
        blocking = []
        threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="corral-job")
        self._keepers = self._make_keepers(settings)
        tasks: list[asyncio.Task[None]] = []
        parts = []
        controls: list[asyncio.Task[None]] = []
        with self._signals():
            try:
                await equipment.start()
                for queue in self.queues:
                    client = shared_client(queue.address())
                    block = blocking_client(queue.address(), queue.keys().client_name(self.name))
                    blocking.append(block)
                    await self._check_server(queue, block, patient=not until_empty)
                    parts.append((queue, client, block, threads, settings, equipment.around(queue)))
                self._boards = boards_here()
                self._boards.join(self.queues, Rules.of(settings))
                self._feeds = [self._make_feed(*of_queue) for of_queue in parts]
                for keeper in self._keepers:
                    keeper.start()
                log.info("worker_started", worker=self.name, queues=[q.name for q in self.queues])
                while True:
                    tasks = [asyncio.create_task(feed.run(until_empty=until_empty)) for feed in self._feeds]
                    controls += [asyncio.create_task(control.run()) for control in self._make_controls()]
                    await self._serve(tasks, settings.grace_seconds)
                    if not until_empty or not await self._parents_came_free():
                        break
                    await _cancel(controls)
                    self._feeds = [self._make_feed(*of_queue) for of_queue in parts]
            finally:
                await _cancel(tasks)
                await _cancel(controls)
                for keeper in self._keepers:
                    await asyncio.to_thread(keeper.stop)
                for client in blocking:
                    with contextlib.suppress(RedisError, OSError):
                        await client.aclose()
                threads.shutdown(wait=False, cancel_futures=True)
                await self._pool.close()
                if self._boards is not None:
                    await self._boards.leave()
                    self._boards = None
                self._feeds = []
                await equipment.end()
                log.info("worker_stopped", worker=self.name)

    async def _parents_came_free(self) -> bool:
        """Children ended that have parents, and one of the queues, empty before, has jobs again."""
        if self._stopped or not any(feed.state.relatives for feed in self._feeds):
            return False
        counts = [await queue.counts() for queue in self.queues]
        return any(count["waiting"] or count["prioritized"] for count in counts)

    def stop(self) -> None:
        """Stop gracefully; called again, end the grace time."""
        self._stopped = True
        if self._stop is None or self._hurry is None:
            return
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _serve(self, tasks: list[asyncio.Task[None]], grace_seconds: float) -> None:
        assert self._stop is not None  # noqa: S101  # for the type checker; run() sets both
        assert self._hurry is not None  # noqa: S101  # as above
        everything: asyncio.Future[Any] = asyncio.gather(*tasks)
        # Looked at below, or cut off: then nobody else would, and asyncio would say so in the log.
        everything.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        stop: asyncio.Future[Any] = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([everything, stop], return_when=asyncio.FIRST_COMPLETED)
            if everything.done():
                everything.result()
                return
            log.info("worker_stopping", worker=self.name, running=sum(f.running for f in self._feeds))
            for feed in self._feeds:
                feed.stop()
            hurry: asyncio.Future[Any] = asyncio.create_task(self._hurry.wait())
            await asyncio.wait(
                [everything, hurry], timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            hurry.cancel()
            if not everything.done():
                put_back = sum(feed.put_back_running() for feed in self._feeds)
                log.warning("grace_time_over", worker=self.name, put_back=put_back)
                await asyncio.wait([everything], timeout=PUT_BACK_SECONDS)
        finally:
            stop.cancel()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        installed = []
        for number in (signal.SIGTERM, signal.SIGINT):
            # Only the main thread's loop may handle signals; elsewhere `stop` is called by the owner.
            with contextlib.suppress(RuntimeError, ValueError, NotImplementedError):
                loop.add_signal_handler(number, self.stop)
                installed.append(number)
        try:
            yield
        finally:
            for number in installed:
                loop.remove_signal_handler(number)

    def _make_keepers(self, settings: Settings) -> list[LockKeeper]:
        addresses = dict.fromkeys(queue.address() for queue in self.queues)
        return [LockKeeper(address, settings.lock_seconds) for address in addresses]

    def _make_controls(self) -> list[Control]:
        by_server: dict[Address, list[Feed]] = {}
        for feed in self._feeds:
            by_server.setdefault(feed.queue.address(), []).append(feed)
        return [Control(address, feeds, self.name) for address, feeds in by_server.items()]

    def _make_feed(
        self,
        queue: Queue,
        client: Any,
        block: Any,
        threads: ThreadPoolExecutor,
        settings: Settings,
        around: Around,
    ) -> Feed:
        # The pid alone is not unique: a container's is 1 on every host.
        name = f"{self.name}:{os.urandom(6).hex()}"
        # A sweep that comes sooner than a lock runs out could take a job before its lock is written.
        may_defer = settings.stalled_seconds >= settings.lock_seconds
        consumer = Consumer(
            client,
            block,
            queue.keys(),
            worker=self.name,
            lock_seconds=settings.lock_seconds,
            rate_limit=queue.rate_limit,
            feed=name if may_defer else "",
            group_limits=wire_limits(queue.group_limits),
        )
        consumer.sealing = queue.sealing
        feed = Feed(
            queue,
            consumer,
            slots=min(slots_of(queue, self.concurrency), *self._children_of(queue)),
            worker=name,
            threads=threads,
            processes=self._pool,
            stalled_seconds=settings.stalled_seconds,
            around=around,
            forget=queue.forgets(settings),
            board=self._boards.of(queue) if self._boards else None,
        )
        for keeper in self._keepers:
            if keeper.address == queue.address():
                keeper.add(feed.locks)
        return feed

    def _children_of(self, queue: Queue) -> tuple[int, ...]:
        # A job that is held while it waits for a child is one that another worker could have run.
        return (self._pool.size,) if only_processes(queue) else (sys.maxsize,)

    async def _check_server(self, queue: Queue, block: Any, *, patient: bool) -> None:
        """Wait until Redis answers. Raises for what waiting does not heal: the layout, rights, a password."""
        failures = 0
        client = shared_client(queue.address())
        while True:
            try:
                check_layout(queue.name, await reader.version(client, queue.keys()))
                await check_access(client, block, queue.keys())
                return
            except (RedisError, OSError) as error:
                if self._stopped:
                    return
                if is_refusal(error):
                    raise ConfigurationError(explain_refusal(error, f"queue {queue.name!r}")) from error
                if not is_outage(error):
                    raise
                if not patient:
                    raise RedisUnavailable(f"Redis does not answer ({code(error)}).") from error
                log.error("redis_not_there", queue=queue.name, error=code(error))
                await asyncio.sleep(pause(failures))
                failures += 1

    def health(self) -> dict[str, Any]:
        """Is this worker well: does Redis answer, do its feeds turn, are its locks kept? No round trip.

        A breaker that is open does not make it unwell: another process would do no better.
        """
        now = time.monotonic()
        feeds = {feed.queue.name: _feed_health(feed, now) for feed in self._feeds}
        locks_kept = all(now - keeper.last_round < keeper.lock_seconds for keeper in self._keepers)
        return {
            "ok": bool(feeds) and locks_kept and all(f["ok"] for f in feeds.values()),
            "worker": self.name,
            "stopping": self._stop is not None and self._stop.is_set(),
            "locks_kept": locks_kept,
            "queues": feeds,
            "breakers": self._boards.health() if self._boards else {},
        }


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tasks.clear()


def _feed_health(feed: Feed, now: float) -> dict[str, Any]:
    away = feed.outage.away_since
    # A feed whose slots are all busy asks for nothing; the lock keeper talks to Redis for it.
    full = feed.running >= feed.limit
    return {
        "ok": away is None and (full or now - feed.outage.last_answer < SILENT_SECONDS),
        "running": feed.running,
        "slots": feed.limit,
        "redis_away_seconds": None if away is None else round(now - away, 1),
    }
