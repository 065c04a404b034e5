"""Batches of one queue: jobs of a name are collected, handed to one call of the handler, and settled each.

Every job holds its slot, its lock and its attempt while it waits for its place; to the executor it is a
handler that takes its time. The time limit starts with the batch and is the shortest of its jobs'. A job
that is taken from the batch (its lock was lost, it was cancelled) leaves the others alone; when nobody is
left that waits for a batch, because of a time limit or a stop, its handler is cancelled.

At a stop, what is collected and has not started goes back at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any

import structlog

from corral.batch import Batch, BatchJob, ThreadBatchJob
from corral.context import JobContext
from corral.definition import JobDefinition
from corral.errors import AttemptTimeout, ConfigurationError, CorralError, LockLost, Snooze, Unrecoverable
from corral.queue import Queue
from corral.worker.invoke import THREAD_GOES_ON
from corral.worker.slots import CLOSE_SECONDS, Slot


def slots_of(queue: Queue, concurrency: int) -> int:
    """Slots that a worker gives a queue.

    With batches: enough to fill one more batch of each name while `queue.concurrency` of them (1 if it says
    nothing) run; so twice the size at least.
    """
    sizes = [definition.batch.size for definition in queue.jobs.values() if definition.batch is not None]
    if not sizes:
        return min(concurrency, queue.concurrency or concurrency)
    return sum(sizes) * (batches_at_once(queue) + 1)


def check_not_mixed(queue: Queue) -> None:
    """Raise ConfigurationError if batches share their queue with other jobs."""
    batches = [definition.batch is not None for definition in queue.jobs.values()]
    if any(batches) and not all(batches):
        single = sorted(name for name, definition in queue.jobs.items() if definition.batch is None)
        raise ConfigurationError(
            f"Queue {queue.name!r} has batches, whose slots would let any number of its other jobs run at "
            f"once: {', '.join(single)}. Give those a queue of their own."
        )


def batches_at_once(queue: Queue) -> int:
    return queue.concurrency or 1


def ready(waiting: int, batch: Batch, *, lingered: bool) -> int:
    """How many of the waiting jobs make a batch now. `lingered`: the first has waited long enough."""
    if waiting >= batch.size:
        return batch.size
    return waiting if lingered else 0


class _Place:
    """A job that waits for its batch, or for its end in it."""

    __slots__ = ("answer", "context", "data", "job", "joined", "limit", "lingered", "run", "slot")

    def __init__(self, slot: Slot, context: JobContext, data: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.slot = slot
        self.context = context
        self.data = data
        self.job = BatchJob(context, self.fail)
        self.answer: asyncio.Future[Any] = loop.create_future()
        self.joined = loop.time()
        #: Seconds that its batch may take.
        self.limit = None if slot.deadline is None else slot.deadline - self.joined
        self.lingered = False
        self.run: _Run | None = None

    def fail(self, error: BaseException) -> None:
        if not self.answer.done():
            if isinstance(error, StopIteration):  # a future refuses it
                error = RuntimeError("The handler raised StopIteration.")
            elif isinstance(error, LockLost):
                # Whose lock it was is not known here. If this job's, Redis will refuse the settlement; any
                # other must not be dropped unsettled.
                error = CorralError(f"The batch failed. {error}")
            self.answer.set_exception(error)

    def succeed(self, result: Any) -> None:
        if isinstance(result, BaseException):
            self.fail(result)
        elif not self.answer.done():
            self.answer.set_result(result)

    def start(self, run: _Run, now: float, limit: float | None) -> None:
        self.run = run
        if limit is not None:
            self.slot.deadline = now + limit
            self.job.deadline = self.context.deadline = time.time() + limit


class _Run:
    """A batch that runs."""

    __slots__ = ("places", "task")

    def __init__(self, places: list[_Place]) -> None:
        self.places = places
        self.task: asyncio.Task[None] | None = None


class _Collector:
    """The jobs of one name that wait for a batch, in the order in which they came."""

    __slots__ = ("batch", "definition", "timer", "timer_of", "waiting")

    def __init__(self, definition: JobDefinition, batch: Batch) -> None:
        self.definition = definition
        self.batch = batch
        self.waiting: dict[_Place, None] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.timer_of: _Place | None = None

    @property
    def first(self) -> _Place | None:
        return next(iter(self.waiting), None)

    def ready(self) -> int:
        first = self.first
        return ready(len(self.waiting), self.batch, lingered=first is not None and first.lingered)


class Batches:
    """Collects and runs the batches of one queue."""

    def __init__(self, queue: Queue, threads: ThreadPoolExecutor) -> None:
        self._queue = queue
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._collectors: dict[str, _Collector] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._free = batches_at_once(queue)
        self._stopping = False
        # A batch is no part of the job that happened to complete it: it has a context of its own.
        self._clean = copy_context()

    async def call(self, slot: Slot, definition: JobDefinition, context: JobContext, data: Any) -> Any:
        """Wait for this job's result in a batch, or for what it failed with."""
        assert definition.batch is not None  # noqa: S101  # for the type checker
        collector = self._collectors.get(definition.name)
        if collector is None:
            collector = self._collectors[definition.name] = _Collector(definition, definition.batch)
        place = _Place(slot, context, data, self._loop)
        slot.deadline = None
        collector.waiting[place] = None
        if self._stopping:
            _send_back(place)
        elif collector.ready():
            self._start_ready()
        else:
            self._wait_for_more(collector)
        try:
            return await place.answer
        except asyncio.CancelledError:
            if definition.isolation == "thread" and isinstance(slot.stopped_by, AttemptTimeout):
                slot.stopped_by = AttemptTimeout(
                    f"The batch of job {context.id} took longer than its time limit. {THREAD_GOES_ON}"
                )
            collector.waiting.pop(place, None)
            _leave(place)
            raise

    def stop(self) -> None:
        """Start no more batches: what is collected goes back unspent."""
        self._stopping = True
        for collector in self._collectors.values():
            if collector.timer is not None:
                collector.timer.cancel()
            for place in list(collector.waiting):
                _send_back(place)

    async def close(self) -> None:
        """Let batches end whose jobs have: what they use is closed next. One that will not is left behind."""
        self.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)

    # Collecting

    def _wait_for_more(self, collector: _Collector) -> None:
        """One timer for each name: that of the job which waits longest."""
        first = collector.first
        if first is None or first is collector.timer_of or self._stopping:
            return
        if collector.timer is not None:
            collector.timer.cancel()
        collector.timer_of = first
        when = first.joined + collector.batch.linger
        collector.timer = self._loop.call_at(when, self._lingered, collector, first)

    def _lingered(self, collector: _Collector, first: _Place) -> None:
        collector.timer = collector.timer_of = None
        first.lingered = True
        self._start_ready()

    def _start_ready(self) -> None:
        """Start what is ready, as long as batches may start; who waits longest comes first."""
        while self._free and not self._stopping:
            waiting = [(collector.first.joined, collector) for collector in self._collectors.values()
                       if collector.first is not None and collector.ready()]  # fmt: skip
            if not waiting:
                break
            _, collector = min(waiting, key=itemgetter(0))
            places = list(islice(collector.waiting, collector.ready()))
            for place in places:
                del collector.waiting[place]
            self._start(collector.definition, [place for place in places if not place.answer.done()])
        for collector in self._collectors.values():
            if not collector.ready():
                self._wait_for_more(collector)

    # Running

    def _start(self, definition: JobDefinition, places: list[_Place]) -> None:
        if not places:
            return
        run = _Run(places)
        limit = min((place.limit for place in places if place.limit is not None), default=None)
        now = self._loop.time()
        for place in places:
            place.start(run, now, limit)
        self._free -= 1
        run.task = self._loop.create_task(self._run(definition, places), context=self._clean.copy())
        self._tasks.add(run.task)
        run.task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._free += 1
        self._start_ready()

    async def _run(self, definition: JobDefinition, places: list[_Place]) -> None:
        structlog.contextvars.bind_contextvars(queue=self._queue.name, batch=len(places))
        try:
            results = _check(await self._handle(definition, places), len(places))
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except asyncio.CancelledError:
            # Those that somebody stopped know it already.
            _fail_all(places, CorralError("The handler was cancelled from inside: a task it awaited was."))
        except BaseException as error:  # sys.exit() in a handler ends its batch, not the worker
            _fail_all(places, error)
        else:
            for place, result in zip(places, results, strict=True):
                place.succeed(result)

    def _handle(self, definition: JobDefinition, places: list[_Place]) -> Any:
        data = [place.data for place in places]
        jobs: list[Any] = [place.job for place in places]
        if definition.isolation == "async":
            return definition.handler(jobs, data) if definition.takes_data else definition.handler(jobs)
        jobs = [ThreadBatchJob(job, self._loop) for job in jobs]
        arguments = (jobs, data) if definition.takes_data else (jobs,)
        call = partial(copy_context().run, _in_thread, definition.handler, *arguments)
        return self._loop.run_in_executor(self._threads, call)


def _in_thread(handler: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return handler(*arguments)
    except StopIteration as error:  # a future refuses it, and the batch would never end
        raise RuntimeError("The handler raised StopIteration.") from error


def _check(results: Any, jobs: int) -> Sequence[Any]:
    if results is None:
        return [None] * jobs
    if not isinstance(results, (list, tuple)) or len(results) != jobs:
        shown = f"{len(results)} results" if isinstance(results, (list, tuple)) else type(results).__name__
        # The work is done; doing it again would end the same way.
        raise Unrecoverable(
            f"The handler of a batch of {jobs} returned {shown}. Return a list with a place for each job, "
            "or None."
        )
    return results


def _fail_all(places: list[_Place], error: BaseException) -> None:
    for place in places:
        place.fail(error)


def _send_back(place: _Place) -> None:
    place.slot.stop(Snooze(0, "The worker stops."))


def _leave(place: _Place) -> None:
    """A job was taken away. Cancel its batch if nobody waits for that any more."""
    answer = place.answer
    if answer.done() and not answer.cancelled():
        answer.exception()  # it came too late; said to have been seen, else asyncio complains
    answer.cancel()
    run = place.run
    if run is not None and run.task is not None and all(other.answer.done() for other in run.places):
        run.task.cancel()
