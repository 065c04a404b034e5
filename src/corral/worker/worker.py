"""The worker: feeds for its queues, one lock keeper, a stop that loses nothing, and an honest health.

`Worker(queue, …, concurrency=100).run()` runs until SIGTERM or SIGINT. Then no new job is taken, running
jobs get the grace time, and what is left goes back to its queue without spending an attempt; a thread
cannot be stopped, so its job may run twice. A second signal ends the grace time at once.

SIGUSR1 makes it quiet: it takes no new job, ends those it has, and stays until it is stopped. SIGUSR2
drains it: it takes no new job and ends by itself after the last one, without a time limit. Both may be
followed by SIGTERM. They are left alone where the program that runs the worker handles them itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import metadata
from typing import Any

import structlog
from redis.exceptions import RedisError

from corral.breaker import Rules
from corral.bullmq import reader
from corral.bullmq.access import check_access
from corral.bullmq.connection import Address, blocking_client, shared_client
from corral.bullmq.consumer import Consumer
from corral.bullmq.failures import code, explain_refusal, is_outage, is_refusal
from corral.bullmq.ordering import Wish
from corral.connected import check_layout
from corral.errors import ConfigurationError, RedisUnavailable
from corral.groups import wire_limits
from corral.observe.loop_lag import LoopLag
from corral.queue import Queue
from corral.resources import declare_resource
from corral.settings import Settings
from corral.surroundings import declare_middleware
from corral.worker.around import Around, Equipment
from corral.worker.batches import slots_of
from corral.worker.boards import Boards, boards_here
from corral.worker.control import Control
from corral.worker.counting import Counting
from corral.worker.feed import Feed
from corral.worker.locks import LockKeeper
from corral.worker.outage import pause
from corral.worker.processes.handlers import check_found, only_processes
from corral.worker.processes.pool import ProcessPool
from corral.worker.reporting import Reporter
from corral.worker.signals import answering_signals
from corral.worker.stopping import Stopping
from corral.worker.suspects import Suspects
from corral.worker.tally import Tally

log = structlog.get_logger(__name__)

#: Slots of a queue that does not bound itself.
DEFAULT_CONCURRENCY = 20

#: Threads for `def` handlers, for all queues of the process together.
MAX_THREADS = 32

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
        #: In whose place its supervisor started this process, and why; empty: in nobody's.
        self.replaces = ""
        self._resources = [declare_resource(function, local_names) for function in resources]
        self._middleware = [declare_middleware(function, local_names) for function in middleware]
        self._boards: Boards | None = None
        self._pool = ProcessPool(processes, max_jobs=max_jobs_per_child, max_memory_mb=max_child_memory_mb)
        #: What was seen since `run` began, by queue.
        self.tallies: dict[str, Tally] = {}
        #: How long its event loop stood still.
        self.loop_lag = LoopLag()
        self._feeds: list[Feed] = []
        self._keepers: list[LockKeeper] = []
        self._stopping = Stopping(self.name)
        self._suspects = Suspects()
        self._quiet = False

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
        self._stopping.begin()
        self._suspects = Suspects()
        blocking = []
        threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="corral-job")
        self._keepers = self._make_keepers(settings)
        self.tallies = {queue.name: Tally(queue.jobs) for queue in self.queues}
        tasks: list[asyncio.Task[None]] = []
        parts = []
        controls: list[asyncio.Task[None]] = []
        reporters: list[Reporter] = []
        watching = [asyncio.create_task(self.loop_lag.watch())]
        with answering_signals(stop=self.stop, quiet=self.quiet, drain=self.drain):
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
                reporters += self._start_reporters(settings)
                log.info("worker_started", worker=self.name, queues=[q.name for q in self.queues])
                while True:
                    tasks = [asyncio.create_task(feed.run(until_empty=until_empty)) for feed in self._feeds]
                    controls += [
                        asyncio.create_task(control.run()) for control in self._make_controls(reporters)
                    ]
                    await self._stopping.serve(self._feeds, tasks, settings.grace_seconds)
                    if not until_empty or not await self._parents_came_free():
                        break
                    await _cancel(controls)
                    self._feeds = [self._make_feed(*of_queue) for of_queue in parts]
            finally:
                await _cancel(tasks)
                await _cancel(controls)
                await _cancel(watching)
                await self._let_go(reporters, blocking, threads)
                if self._boards is not None:
                    await self._boards.leave()
                    self._boards = None
                self._feeds = []
                await equipment.end()
                log.info("worker_stopped", worker=self.name)

    async def _let_go(
        self, reporters: list[Reporter], blocking: list[Any], threads: ThreadPoolExecutor
    ) -> None:
        await asyncio.gather(*(reporter.leave() for reporter in reporters))
        for keeper in self._keepers:
            await asyncio.to_thread(keeper.stop)
        for client in blocking:
            with contextlib.suppress(RedisError, OSError):
                await client.aclose()
        threads.shutdown(wait=False, cancel_futures=True)
        await self._pool.close()

    async def _parents_came_free(self) -> bool:
        """Children ended that have parents, and one of the queues, empty before, has jobs again."""
        if self._stopping.wanted or not any(feed.state.relatives for feed in self._feeds):
            return False
        counts = [await queue.counts() for queue in self.queues]
        return any(count["waiting"] or count["prioritized"] for count in counts)

    def stop(self) -> None:
        """Stop gracefully; called again, end the grace time."""
        self._stopping.stop()

    def quiet(self) -> None:
        """Take no new job, stay until `stop`. What runs goes on."""
        if not self._quiet:
            log.info("worker_quiet", worker=self.name, running=sum(f.running for f in self._feeds))
        self._quiet = True
        for feed in self._feeds:
            feed.quiet()

    def drain(self) -> None:
        """Take no new job, and let `run` return when what runs has ended, however long that takes."""
        self._stopping.drain()

    def _make_keepers(self, settings: Settings) -> list[LockKeeper]:
        addresses = dict.fromkeys(queue.address() for queue in self.queues)
        return [LockKeeper(address, settings.lock_seconds) for address in addresses]

    def _make_controls(self, reporters: list[Reporter]) -> list[Control]:
        by_server: dict[Address, list[Feed]] = {}
        for feed in self._feeds:
            by_server.setdefault(feed.queue.address(), []).append(feed)
        orders = [reporter.orders(self._obey) for reporter in reporters]
        return [Control(address, feeds, self.name, orders) for address, feeds in by_server.items()]

    def _obey(self, wish: Wish) -> None:
        if wish == "quiet":
            self.quiet()
        elif not self._stopping.stopped:  # a second stop would cut the grace time short
            self.stop()

    def _start_reporters(self, settings: Settings) -> list[Reporter]:
        version = settings.release or metadata.version("corral")
        places = {(queue.address(), queue.keys().prefix): queue.client() for queue in self.queues}
        reporters = []
        for place, client in places.items():
            counting = Counting(
                [(queue.keys(), self.tallies[queue.name]) for queue in self._queues_at(*place)]
            )
            feeds = partial(self._feeds_at, *place)
            reporters.append(
                Reporter(self.name, version, client, place[1], feeds, counting, self.loop_lag, self.replaces)
            )
        for reporter in reporters:
            reporter.start()
        return reporters

    def _queues_at(self, address: Address, prefix: str) -> list[Queue]:
        return [q for q in self.queues if q.address() == address and q.keys().prefix == prefix]

    def _feeds_at(self, address: Address, prefix: str) -> list[Feed]:
        here = self._queues_at(address, prefix)
        return [feed for feed in self._feeds if feed.queue in here]

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
            tally=self.tallies[queue.name],
            forget=queue.forgets(settings),
            board=self._boards.of(queue) if self._boards else None,
            suspects=self._suspects,
        )
        for keeper in self._keepers:
            if keeper.address == queue.address():
                keeper.add(feed.locks)
        if self._quiet:
            feed.quiet()
        return feed

    def _children_of(self, queue: Queue) -> tuple[int, ...]:
        # A job that is held while it waits for a child is one that another worker could have run.
        return (self._pool.size,) if only_processes(queue) else (sys.maxsize,)

    async def _check_server(self, queue: Queue, block: Any, *, patient: bool) -> None:
        """Wait until Redis answers. Raises for what waiting does not heal: the layout, rights, a password."""
        failures = 0
        address = queue.address()
        client = shared_client(address)
        while True:
            try:
                check_layout(queue.name, await reader.version(client, queue.keys()))
                await check_access(client, block, queue.keys())
                return
            except (RedisError, OSError) as error:
                if self._stopping.wanted:
                    return
                if is_refusal(error):
                    raise ConfigurationError(explain_refusal(error, f"queue {queue.name!r}")) from error
                if not is_outage(error):
                    raise
                if not patient:
                    raise RedisUnavailable(
                        f"Redis does not answer at {address.place} ({code(error)}). Is it running, and is "
                        "REDIS_URL its address?"
                    ) from error
                log.error("redis_not_there", queue=queue.name, place=address.place, error=code(error))
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
            "pid": os.getpid(),
            "stopping": self._stopping.stopped,
            "quiet": self._quiet,
            "draining": self._stopping.drained,
            "jobs": sum(feed.state.settled for feed in self._feeds),
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
    full = feed.running >= feed.limit or feed.stopping
    return {
        "ok": away is None and (full or now - feed.outage.last_answer < SILENT_SECONDS),
        "running": feed.running,
        "slots": feed.limit,
        "jobs": feed.state.settled,
        "redis_away_seconds": None if away is None else round(now - away, 1),
    }
