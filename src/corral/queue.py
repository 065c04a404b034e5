"""Declare a queue, add jobs to it, look them up.

A Queue is cheap to make and safe to keep at module level: it reads the environment and connects when it is
first used, once for each event loop, over a pool that all queues of the process share.
"""

# ruff: noqa: PLC0415  # what adding a job does not need is imported where it is asked for (decision 7)

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, cast
from weakref import WeakSet

from corral.adding import (
    AddOptions,
    JobDefaults,
    ManyOptions,
    by_the_servers_clock,
    check_bounds,
    check_data,
    check_defaults,
)
from corral.bullmq import redis_errors
from corral.connected import Bound, Connected
from corral.data import decode_json, encode
from corral.definition import JobDefinition, define
from corral.errors import (
    ConfigurationError,
    InvalidOptions,
    UnknownJobName,
)
from corral.groups import GroupLimits, Groups
from corral.hooks import Webhook, hook_of
from corral.job import Job
from corral.limits import Limits
from corral.policy import Forget, Objective, Priority, RateLimit, Retention, Retry
from corral.relations import Relations
from corral.surroundings import Surroundings

if TYPE_CHECKING:
    from corral.admin import Admin
    from corral.batch import Batch
    from corral.browse import Browse
    from corral.bullmq.codec import JobRecord
    from corral.bullmq.producer import Added, NewJobs
    from corral.cancelling import Cancelled
    from corral.dead import DeadLetters
    from corral.events import Event
    from corral.results import Outcome
    from corral.schedule_options import ScheduleOptions
    from corral.schedules import Schedules
    from corral.settings import Settings
    from corral.special_adds import NewJob
    from corral.stats import Stats
    from corral.sync import SyncQueue

Handler = TypeVar("Handler", bound=Callable[..., Any])

#: Jobs larger than this belong elsewhere (an object store), with a reference in the job.
MAX_DATA_BYTES = 1_048_576


class Queue(Connected, Relations, Surroundings):
    """A named queue and what it promises about its jobs.

    name: 1 to 100 characters, no colon.
    redis_url, prefix: default to REDIS_URL and CORRAL_PREFIX.
    retry: attempts and waits; written into each job, so that any worker obeys it. A job may bring its own.
        None: written into none; what the worker's queue declares counts. For code that adds to a queue whose
        policy stands elsewhere.
    timeout: seconds an attempt may take; None: no limit.
    priority: for jobs that do not bring one; None: none, which runs before every numbered one.
    rate_limit: starts in a window, over all workers together.
    concurrency: jobs that run at once in one worker process; of a queue with batches, batches (default 1).
    groups: limits of each group that has none of its own.
    retention: how long finished jobs are kept.
    max_data_bytes: a job with more is refused.
    ttl: seconds, from when a job is due, within which it must have started; then it goes to the dead letters.
        What the worker's queue declares counts, unless a job brings its own. None: no limit.
    defaults: further options for jobs that do not bring them; see JobDefaults.
    forget: what of the data of a job that ended is removed; None: nothing. Or a function that is given the
        worker's settings and says so.
    webhooks: told of every job's end, beside the job's own; what the worker's queue declares counts.
    objective: how soon its jobs are to start, for scaling; None: as CORRAL_SCALE_DRAIN_SECONDS and
        CORRAL_SCALE_AGE_SECONDS say.
    encrypt: store data, results, checkpoints and progress encrypted; None: as CORRAL_ENCRYPT says. What is
        encrypted is read by every queue. See docs/operate/security.md.
    """

    def __init__(
        self,
        name: str,
        *,
        redis_url: str | None = None,
        prefix: str | None = None,
        retry: Retry | None = Retry(),  # noqa: B008  # frozen
        timeout: float | None = None,
        priority: Priority | int | None = None,
        rate_limit: RateLimit | None = None,
        concurrency: int | None = None,
        groups: GroupLimits | None = None,
        retention: Retention = Retention(),  # noqa: B008  # frozen
        max_data_bytes: int = MAX_DATA_BYTES,
        ttl: float | None = None,
        defaults: JobDefaults | None = None,
        forget: Forget | Callable[[Settings], Forget | None] | None = None,
        webhooks: Sequence[str | Webhook] = (),
        objective: Objective | None = None,
        encrypt: bool | None = None,
    ) -> None:
        Connected.__init__(self, name, redis_url, prefix, encrypt)
        Surroundings.__init__(self)
        check_bounds(timeout=timeout, concurrency=concurrency, priority=priority, ttl=ttl)
        self.retry = retry or Retry()
        self.writes_retry = retry is not None
        self.timeout = timeout
        self.priority = int(priority or 0)
        self.rate_limit = rate_limit
        self.concurrency = concurrency
        self.group_limits = groups
        self.groups = Groups(self)
        self.limits = Limits(self)
        self.retention = retention
        self.max_data_bytes = max_data_bytes
        self.ttl = ttl
        self.defaults = check_defaults(defaults or {})
        self._forget = forget
        self.webhooks = tuple(hook_of(given) for given in webhooks)
        self.objective = objective
        self.jobs: dict[str, JobDefinition] = {}
        living.add(self)

    # Declaring

    def job(
        self, name: str, *, batch: Batch | None = None, isolation: Literal["process"] | None = None
    ) -> Callable[[Handler], Handler]:
        """Register a handler for a job name: `(job, data: DataType) -> ResultType`.

        `async def` runs in the event loop, `def` in a thread, with isolation="process" both in a process of
        a pool (docs/engine/isolation.md). The annotations say how data is read.
        Further parameters are resources. batch: the handler gets `(jobs, data: list[DataType])`.
        Raises ConfigurationError for another signature, a name that is taken, or a handler that a process
        cannot import.
        """
        local_names = sys._getframe(1).f_locals  # noqa: SLF001  # types declared beside a nested handler

        def register(handler: Handler) -> Handler:
            if name in self.jobs:
                raise ConfigurationError(f"Queue {self.name!r} has a handler for {name!r} already.")
            self.jobs[name] = define(name, handler, local_names, batch=batch, isolation=isolation)
            return handler

        return register

    def forgets(self, settings: Settings) -> Forget | None:
        """What is removed of the data of jobs that ended."""
        return self._forget(settings) if callable(self._forget) else self._forget

    @cached_property
    def schedules(self) -> Schedules:
        """Recurring jobs."""
        from corral.schedules import Schedules

        return Schedules(self)

    def schedule(self, schedule_id: str, name: str, **options: Unpack[ScheduleOptions]) -> None:
        """Declare a schedule beside its handler; workers upsert it at their start. Raises InvalidOptions."""
        self.schedules.declare(schedule_id, name, options)

    # Adding

    async def add(self, name: str, data: Any = None, **options: Unpack[AddOptions]) -> Job:
        """Add a job; when this returns, Redis has it. Concurrent adds share a round trip.

        options: see AddOptions.
        Raises InvalidData, InvalidOptions, UnknownJobName, JobTooLarge, IdempotencyConflict,
        GroupFull, RedisUnavailable.
        """
        raw = encode(data)
        if options:
            return await self.add_json(name, raw, **options)
        if not self.jobs and len(raw) <= self.max_data_bytes and not self.may_seal:
            # No type to hold it against, and what `encode` wrote is JSON.
            return await self._add_plain(name, raw, raw.decode())
        return await self._add_plain(name, raw, check_data(self, raw, self.decoder(name), name=name))

    async def add_json(self, name: str, raw: bytes, **options: Unpack[AddOptions]) -> Job:
        """`add` for data that is JSON bytes already: checked, and stored as it came."""
        if options.get("dedup"):
            from corral.special_adds import add_officially

            return (await add_officially(self, name, [raw], options))[0]
        text = check_data(self, raw, self.decoder(name), options.get("max_data_bytes"), name=name)
        if not options:
            return await self._add_plain(name, raw, text)
        bound = self._bind()
        jobs = bound.templates.traced(name, await self.timed(options))
        added = await self._send(bound, jobs.holding([text]))
        if added.existing_data is None:
            return Job(self, added.ids[0], name, raw)
        from corral.special_adds import existing_job

        return existing_job(self, added, name, raw, options.get("idempotency_key"))

    async def _add_plain(self, name: str, raw: bytes, text: str) -> Job:
        """The commonest add: no options. Every call and every object here is paid by each job."""
        bound = self._bind()
        jobs = bound.templates.traced(name, {})
        try:
            if not bound.layout_checked:
                await self.ready()
            return Job(self, await bound.producer.add_one(jobs, text), name, raw)
        except (redis_errors.RedisError, OSError) as error:
            raise self._unavailable(error) from error

    async def add_many(self, name: str, items: Sequence[Any], **options: Unpack[ManyOptions]) -> list[Job]:
        """Add a job for each item, all with the same options. All data is checked before any is added.

        One round trip for each 1,000 jobs; each such part is added whole or not at all.
        """
        return await self.add_many_json(name, [encode(item) for item in items], **options)

    async def add_many_json(
        self, name: str, raws: Sequence[bytes], **options: Unpack[ManyOptions]
    ) -> list[Job]:
        """`add_many` for data that is JSON bytes already."""
        if "job_id" in options or "idempotency_key" in options:
            raise InvalidOptions(
                "Many jobs cannot share a `job_id` or `idempotency_key`: add them one by one."
            )
        if options.get("dedup"):
            from corral.special_adds import add_officially

            return await add_officially(self, name, raws, cast("AddOptions", options))
        decode, limit = self.decoder(name), options.get("max_data_bytes")
        texts = [check_data(self, raw, decode, limit, name=name) for raw in raws]
        if not texts:
            return []
        bound = self._bind()
        jobs = bound.templates.traced(name, await self.timed(cast("AddOptions", options)))
        added = await self._send(bound, jobs._replace(data=texts))
        return [Job(self, job_id, name, raw) for job_id, raw in zip(added.ids, raws, strict=True)]

    async def add_batch(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Add jobs that each have a name, data and options of their own, in order.

        All are checked before any is added. Up to 1,000 of them, with up to 4 MB of data, arrive in one call,
        all or none; more in several. Those with `dedup` follow in a call of their own.
        Raises what `add` raises, and says which job it is about. One whose idempotency key stands for other
        work is not added, and IdempotencyConflict raised, when the others of its call are in.
        """
        from corral.special_adds import add_batch

        return await add_batch(self, jobs)

    def decoder(self, name: str) -> Callable[[bytes], Any]:
        """Reads and checks the data of a job of this name. Raises UnknownJobName."""
        definition = self.jobs.get(name)
        if definition is not None:
            return definition.decode_data
        if self.jobs:
            # A process that declares some of a queue's jobs declares them all: this one is a slip.
            known = ", ".join(sorted(self.jobs))
            raise UnknownJobName(f"Queue {self.name!r} has no job {name!r}. It has: {known}.")
        return decode_json

    async def _send(self, bound: Bound, jobs: NewJobs) -> Added:
        # Spelled out instead of `with self.redis_errors()`: every job comes through here.
        try:
            if not bound.layout_checked:
                await self.ready()
            return await bound.producer.add(jobs)
        except (redis_errors.RedisError, OSError) as error:
            raise self._unavailable(error) from error

    async def prepare(self, name: str, raw: bytes, options: AddOptions) -> NewJobs:
        """A checked job, not added: for what adds jobs in other ways (flows). Raises like `add`."""
        text = check_data(self, raw, self.decoder(name), options.get("max_data_bytes"), name=name)
        with self.redis_errors():
            bound = await self.ready()
        return bound.templates.traced(name, await self.timed(options))._replace(data=[text])

    async def timed(self, options: AddOptions) -> AddOptions:
        """The options with a `delay` where they have an `at`: a wrong clock here shifts no job."""
        if options.get("at") is None:
            return options
        with self.redis_errors():
            return await by_the_servers_clock(self.client(), options)

    async def dedup_job_id(self, dedup_id: str) -> str | None:
        """The id of the job that holds a deduplication id. One round trip. Raises RedisUnavailable."""
        from corral.bullmq.official_add import holder

        with self.redis_errors():
            return await holder(self.client(), self.keys(), dedup_id)

    async def release_dedup(self, dedup_id: str) -> bool:
        """Let go of a deduplication id: the next job with it is added. The job that held it goes on.

        Two round trips. False if no job held it, or another took it meanwhile. Raises RedisUnavailable.
        """
        from corral.bullmq.official_add import release

        with self.redis_errors():
            return await release(self.client(), self.keys(), dedup_id)

    # Looking up

    async def get(self, job_id: str) -> Job | None:
        """A job with its state, or None. One round trip. Raises RedisUnavailable."""
        from corral.bullmq import reader

        with self.redis_errors():
            found = (await reader.find(self.client(), [self.keys()], job_id))[0]
        return None if found is None else self._job(*found)

    def _job(self, record: JobRecord, state: str) -> Job:
        # BullMQ tells prioritized apart; to who waits for the job it is waiting all the same.
        status = "waiting" if state == "prioritized" else state
        return Job(self, record.id, record.name, record.data, record=record, status=status)

    async def counts(self) -> dict[str, int]:
        """Jobs by state. One round trip."""
        from corral.bullmq import reader

        with self.redis_errors():
            return (await reader.counts(self.client(), [self.keys()]))[0]

    async def logs(self, job_id: str, start: int = 0, end: int = -1) -> list[str]:
        """Log rows of a job, oldest first. One round trip."""
        from corral.bullmq import reader

        with self.redis_errors():
            return await reader.logs(self.client(), self.keys(), job_id, start, end)

    async def outcome(self, job_id: str) -> Outcome:
        """Wait for a job's end; `Job.result` is the comfortable face of this."""
        with self.redis_errors():
            return await self._bind().results.outcome(job_id)

    async def cancel(self, job_id: str, reason: str = "") -> Cancelled:
        """Cancel a job: one that waits is removed, one that runs is ended by its worker within a second.

        The answer says which; docs/engine/cancel.md has the details. One round trip.
        Raises JobNotFound, CannotCancel (the next run of a schedule), RedisUnavailable.
        """
        from corral.cancelling import cancel_job

        return await cancel_job(self, job_id, reason)

    # Signals

    async def signal(self, signal: str, payload: Any = None) -> bool:
        """Send what a `job.wait_for(signal)` waits for. One round trip. True if a job was woken.

        A signal that nobody waits for yet is kept for 7 days. Signals are not bound to a queue.
        """
        from corral.bullmq.signals import send_signal

        with self.redis_errors():
            raw = encode(payload)
            sealing = self.sealing
            text = sealing.seal("signal", signal, raw) if sealing.active else raw.decode()
            return await send_signal(self.client(), self.keys().prefix, signal, text)

    @property
    def sync(self) -> SyncQueue:
        """The same, blocking, for code without an event loop."""
        from corral.sync import SyncQueue

        return SyncQueue(self)

    # Reading and administration

    def events(self, after: str = "$") -> AsyncGenerator[Event, None]:
        """What happens in the queue, as an async iterator that survives reconnects: see corral.events.

        after: the id of an event, 0 for all that Redis has, $ for what comes from the first step on.
        Raises InvalidInput, and RedisUnavailable at the first step.
        """
        from corral.events import start_of

        return self._bind().events.listen(start_of(after))

    @property
    def browse(self) -> Browse:
        """Lists, search, log pages: see Browse."""
        from corral.browse import Browse

        return Browse(self)

    @property
    def stats(self) -> Stats:
        """What the queue did, by minute and by hour: see Stats."""
        from corral.stats import Stats

        return Stats(self)

    @property
    def admin(self) -> Admin:
        """Pause, clean, retry, change: see Admin."""
        from corral.admin import Admin

        return Admin(self)

    @property
    def dead(self) -> DeadLetters:
        """The dead letter desk: groups of failed jobs, retry, discard, undo: see DeadLetters."""
        from corral.dead import DeadLetters

        return DeadLetters(self)

    def __repr__(self) -> str:
        return f"Queue({self.name!r})"


#: All queues of the process, for tests that point them at a server of their own.
living: WeakSet[Queue] = WeakSet()
