"""A queue that runs its jobs inline: the class that `inline` gives a queue for a while."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn, Unpack, cast

from corral.adding import AddOptions, ManyOptions, Templates, check_data
from corral.bullmq.codec import decode_options
from corral.bullmq.consumer import Consumer
from corral.context import JobContext
from corral.current import CURRENT, Cell
from corral.data import encode
from corral.definition import JobDefinition
from corral.errors import IdempotencyConflict, InvalidOptions, UnknownJobName
from corral.job import Job
from corral.portal import submit
from corral.queue import Queue
from corral.results import Outcome
from corral.settings import Settings
from corral.special_adds import NewJob
from corral.sync import SyncQueue
from corral.testing.memory import MemoryJob, not_inline
from corral.worker.around import Equipment
from corral.worker.batches import Batches
from corral.worker.invoke import Invoker
from corral.worker.outcome import plan
from corral.worker.processes.pool import ProcessPool
from corral.worker.slots import Slot

if TYPE_CHECKING:
    import redis.asyncio as aioredis


@dataclass(slots=True)
class InlineState:
    """What an inline queue has while it is one."""

    #: Jobs of all queues of the same `inline`, in the order they were added.
    jobs: list[Job]
    #: Read once: that takes longer than all the rest.
    settings: Settings
    by_id: dict[str, MemoryJob] = field(default_factory=dict)
    #: Ids by idempotency key.
    once: dict[str, str] = field(default_factory=dict)


class InlineQueue(Queue):
    """See `corral.testing.inline`."""

    _inline: InlineState

    async def add(self, name: str, data: Any = None, **options: Unpack[AddOptions]) -> Job:
        return await self.add_json(name, encode(data), **options)

    async def add_json(self, name: str, raw: bytes, **options: Unpack[AddOptions]) -> Job:
        with ThreadPoolExecutor(1, thread_name_prefix="corral-inline") as threads:
            return await self.run_inline(name, raw, options, threads)

    async def add_many_json(
        self, name: str, raws: Sequence[bytes], **options: Unpack[ManyOptions]
    ) -> list[Job]:
        if "job_id" in options or "idempotency_key" in options:
            raise InvalidOptions(
                "Many jobs cannot share a `job_id` or `idempotency_key`: add them one by one."
            )
        for raw in raws:
            check_data(self, raw, self.decoder(name), options.get("max_data_bytes"), name=name)
        return [await self.add_json(name, raw, **cast("AddOptions", options)) for raw in raws]

    async def add_batch(self, jobs: Sequence[NewJob]) -> list[Job]:
        return [await self.add(job.name, job.data, **job.options) for job in jobs]

    async def get(self, job_id: str) -> Job | None:
        job = self._inline.by_id.get(job_id)
        return None if job is None else self._handle(job)

    async def logs(self, job_id: str, start: int = 0, end: int = -1) -> list[str]:
        job = self._inline.by_id.get(job_id)
        rows = [] if job is None else job.rows
        return rows[start:] if end == -1 else rows[start : end + 1]

    async def outcome(self, job_id: str) -> Outcome:
        job = self._inline.by_id.get(job_id)
        if job is None:
            raise not_inline(self.name, f"waiting for job {job_id}, which did not run inline,")
        if job.error is not None:
            return Outcome(False, str(job.error))
        return Outcome(True, (job.returned or b"null").decode())

    @property
    def sync(self) -> SyncQueue:
        return _InlineSyncQueue(self)

    async def prepare(self, name: str, raw: bytes, options: AddOptions) -> NoReturn:  # noqa: ARG002  # a Queue's signature
        raise not_inline(self.name, "a flow")

    def client(self) -> aioredis.Redis:
        raise not_inline(self.name, "what asks the server")

    def _bind(self) -> NoReturn:
        raise not_inline(self.name, "what asks the server")

    # Running

    async def run_inline(self, name: str, raw: bytes, options: AddOptions, threads: Executor) -> Job:
        """Check a job and run it. `threads` runs what does not run in the loop. Raises what `add` raises, and
        what the handler does."""
        if name not in self.jobs:
            raise UnknownJobName(
                f"Queue {self.name!r} has no handler for {name!r} in this process, so it cannot run inline. "
                "Import the module that declares it."
            )
        check_data(self, raw, self.decoder(name), options.get("max_data_bytes"), name=name)
        template = Templates(self, self.keys()).make(name, options)
        known, once = self._inline.by_id, self._inline.once
        job = MemoryJob(self.keys(), "", name, raw, template.options.encode())
        key = options.get("idempotency_key")
        there = known.get(once.get(key, "") if key is not None else template.id)
        if there is not None:
            if key is not None and (there.name, there.data) != (name, raw):
                raise IdempotencyConflict(
                    f"The idempotency key of this job was used for other work: job {there.id}."
                )
            return self._handle(there, existed=True)
        job.id = template.id or str(uuid.uuid4())
        known[job.id] = job
        if key is not None:
            once[key] = job.id
        handle = self._handle(job)
        self._inline.jobs.append(handle)
        try:
            job.returned = encode(await self._handled(job, threads))
        except BaseException as error:
            job.error = error
            raise
        finally:
            job.finished_at = time.time()
            done = self._handle(job)
            handle.status = done.status
            handle._record = done._record  # noqa: SLF001  # a handle is refreshed by its class alone, from Redis
        return handle

    async def _handled(self, job: MemoryJob, threads: Executor) -> Any:
        """Run the handler of a job as a worker would, once."""
        equipment = Equipment((self,), (), (), self._inline.settings)
        # The types say a pool of threads; all that is asked of it is what every Executor has.
        batches = Batches(self, cast("ThreadPoolExecutor", threads))
        invoker = Invoker(cast("ThreadPoolExecutor", threads), ProcessPool(1))
        try:
            await equipment.start()
            definition = _here(self.jobs[job.name])
            definition = equipment.around(self).prepare(definition, invoker.outside, batches.call)
            data = definition.decode_data(job.data)
            wanted = plan(decode_options(job.options), self.retry, self.timeout, self.retention)
            context = JobContext(
                cast("Consumer", job),
                "inline",
                job_id=job.id,
                name=job.name,
                data=data,
                attempt=1,
                attempts=wanted.retry.attempts,
                enqueued_at=job.enqueued_at,
                deadline=None if wanted.timeout is None else time.time() + wanted.timeout,
                checkpoint=None,
                wait=None,
                keep_logs=wanted.keep_logs,
            )
            before = CURRENT.set(Cell(context))
            try:
                slot = Slot()
                if definition.call is not None:
                    return await definition.call(slot, definition, context, data)
                if definition.isolation == "thread":
                    return await invoker.outside(slot, definition, context, data)
                if definition.takes_data:
                    return await definition.handler(context, data)
                return await definition.handler(context)
            finally:
                CURRENT.reset(before)
        finally:
            await batches.close()
            await equipment.end()

    def _handle(self, job: MemoryJob, *, existed: bool = False) -> Job:
        return Job(self, job.id, job.name, job.data, record=job.record(), status=job.status, existed=existed)


def of_class(own: type[Queue]) -> type[Queue]:
    """InlineQueue, for a queue of a class of its own too."""
    return InlineQueue if own is Queue else type(f"Inline{own.__name__}", (InlineQueue, own), {})


def _here(definition: JobDefinition) -> JobDefinition:
    """As it runs inline: in this process, and a batch of one."""
    if definition.isolation == "process":
        own = "async" if asyncio.iscoroutinefunction(definition.handler) else "thread"
        definition = replace(definition, isolation=cast("Any", own))
    if definition.batch is not None:
        definition = replace(definition, batch=replace(definition.batch, size=1))
    return definition


class _InlineSyncQueue(SyncQueue):
    """`queue.sync` of an inline queue: the calling thread runs what is to run in a thread."""

    __slots__ = ()

    def add(self, name: str, data: Any = None, **options: Unpack[AddOptions]) -> Job:
        return self._in_caller(name, encode(data), options)

    def add_many(self, name: str, items: Sequence[Any], **options: Unpack[ManyOptions]) -> list[Job]:
        return [self._in_caller(name, encode(item), cast("AddOptions", options)) for item in items]

    def _in_caller(self, name: str, raw: bytes, options: AddOptions) -> Job:
        caller = _CallingThread()
        ended = submit(_ended(cast("InlineQueue", self._queue).run_inline(name, raw, options, caller)))
        ended.add_done_callback(caller.leave)
        caller.work()
        job, error = ended.result()
        if error is not None:
            raise error
        return cast("Job", job)


async def _ended(call: Awaitable[Job]) -> tuple[Job | None, BaseException | None]:
    """An end that is safe to carry out of a loop: SystemExit raised in a task would end the loop with it."""
    try:
        return await call, None
    except BaseException as error:
        return None, error


class _CallingThread(Executor):
    """Runs what it is given in the thread that calls `work`, until `leave`."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._calls.put((future, lambda: fn(*args, **kwargs)))
        return future

    def leave(self, _: object) -> None:
        self._calls.put(None)

    def work(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # it comes out where it is awaited
                future.set_exception(error)
