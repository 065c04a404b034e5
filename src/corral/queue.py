"""Declare a queue, add jobs to it, look them up.

A Queue is cheap to make and safe to keep at module level: it reads the environment and connects when it is
first used, once for each event loop, over a pool that all queues of the process share.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, TypeVar, Unpack, cast
from weakref import WeakKeyDictionary

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from corral.adding import AddOptions, ManyOptions, Templates, check_bounds, check_data
from corral.bullmq import reader
from corral.bullmq.codec import JobRecord
from corral.bullmq.connection import Address, forget_closed_loops, shared_client, stream_client
from corral.bullmq.failures import as_corral_error
from corral.bullmq.keys import QueueKeys, check_queue_name
from corral.bullmq.producer import Added, NewJobs, Producer
from corral.bullmq.signals import send_signal
from corral.data import decode_json, encode
from corral.definition import JobDefinition, define
from corral.errors import (
    ConfigurationError,
    IdempotencyConflict,
    InvalidOptions,
    LayoutUnsupported,
    RedisUnavailable,
    UnknownJobName,
)
from corral.job import Job
from corral.policy import Priority, RateLimit, Retention, Retry
from corral.results import Outcome, Results
from corral.settings import Settings

Handler = TypeVar("Handler", bound=Callable[..., Any])

#: Jobs larger than this belong elsewhere (an object store), with a reference in the job.
MAX_DATA_BYTES = 1_048_576

#: BullMQ's layouts that Corral reads and writes. A newer major is refused, not guessed.
KNOWN_LAYOUTS = ("3", "4", "5", "6")


class Queue:
    """A named queue and what it promises about its jobs.

    name: 1 to 100 characters, no colon.
    redis_url, prefix: default to REDIS_URL and CORRAL_PREFIX.
    retry: attempts and waits; written into each job, so that any worker obeys it. A job may bring its own.
    timeout: seconds an attempt may take; None: no limit.
    priority: for jobs that do not bring one; None: none, which runs before every numbered one.
    rate_limit: starts in a window, over all workers together.
    concurrency: jobs that run at once in one worker process.
    retention: how long finished jobs are kept.
    max_data_bytes: a job with more is refused.
    """

    def __init__(
        self,
        name: str,
        *,
        redis_url: str | None = None,
        prefix: str | None = None,
        retry: Retry = Retry(),  # noqa: B008  # frozen
        timeout: float | None = None,
        priority: Priority | int | None = None,
        rate_limit: RateLimit | None = None,
        concurrency: int | None = None,
        retention: Retention = Retention(),  # noqa: B008  # frozen
        max_data_bytes: int = MAX_DATA_BYTES,
    ) -> None:
        check_queue_name(name)
        check_bounds(timeout=timeout, concurrency=concurrency, priority=priority)
        self.name = name
        self.retry = retry
        self.timeout = timeout
        self.priority = int(priority or 0)
        self.rate_limit = rate_limit
        self.concurrency = concurrency
        self.retention = retention
        self.max_data_bytes = max_data_bytes
        self.jobs: dict[str, JobDefinition] = {}
        self._redis_url = redis_url
        self._prefix = prefix
        self._keys: QueueKeys | None = None
        self._bound: WeakKeyDictionary[asyncio.AbstractEventLoop, _Bound] = WeakKeyDictionary()
        self._current: _Bound | None = None

    # Declaring

    def job(self, name: str) -> Callable[[Handler], Handler]:
        """Register a handler for a job name: `(job, data: DataType) -> ResultType`.

        `async def` runs in the event loop, `def` in a thread. The annotations say how data is read.
        Raises ConfigurationError for another signature or a name that is taken.
        """
        local_names = sys._getframe(1).f_locals  # noqa: SLF001  # types declared beside a nested handler

        def register(handler: Handler) -> Handler:
            if name in self.jobs:
                raise ConfigurationError(f"Queue {self.name!r} has a handler for {name!r} already.")
            self.jobs[name] = define(name, handler, local_names)
            return handler

        return register

    # Adding

    async def add(self, name: str, data: Any = None, **options: Unpack[AddOptions]) -> Job:
        """Add a job; when this returns, Redis has it. Concurrent adds share a round trip.

        options: see AddOptions.
        Raises InvalidData, InvalidOptions, UnknownJobName, JobTooLarge, IdempotencyConflict,
        RedisUnavailable.
        """
        return await self.add_json(name, encode(data), **options)

    async def add_json(self, name: str, raw: bytes, **options: Unpack[AddOptions]) -> Job:
        """`add` for data that is JSON bytes already: checked, and stored as it came."""
        text = check_data(self, raw, self._decoder(name))
        bound = self._bind()
        jobs = bound.templates.make(name, options)
        added = await self._send(bound, jobs._replace(data=[text]))
        existing = added.existing_data
        if existing is None:
            return Job(self, added.ids[0], name, raw)
        once = options.get("idempotency_key")
        if once is not None and decode_json(existing) != decode_json(raw):
            raise IdempotencyConflict(
                f"Idempotency key {once!r} was used in queue {self.name!r} with other data. "
                "Use a new key for a new request."
            )
        return Job(self, added.ids[0], name, existing, existed=True)

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
        decode = self._decoder(name)
        texts = [check_data(self, raw, decode) for raw in raws]
        if not texts:
            return []
        bound = self._bind()
        jobs = bound.templates.make(name, cast("AddOptions", options))
        added = await self._send(bound, jobs._replace(data=texts))
        return [Job(self, job_id, name, raw) for job_id, raw in zip(added.ids, raws, strict=True)]

    def _decoder(self, name: str) -> Callable[[bytes], Any]:
        definition = self.jobs.get(name)
        if definition is not None:
            return definition.decode_data
        if self.jobs:
            # A process that declares some of a queue's jobs declares them all: this one is a slip.
            known = ", ".join(sorted(self.jobs))
            raise UnknownJobName(f"Queue {self.name!r} has no job {name!r}. It has: {known}.")
        return decode_json

    async def _send(self, bound: _Bound, jobs: NewJobs) -> Added:
        # Spelled out instead of `with self.redis_errors()`: every job comes through here.
        try:
            if not bound.layout_checked:
                check_layout(self.name, await reader.version(bound.client, self.keys()))
                bound.layout_checked = True
            return await bound.producer.add(jobs)
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error

    # Looking up

    async def get(self, job_id: str) -> Job | None:
        """A job with its state, or None. One round trip. Raises RedisUnavailable."""
        with self.redis_errors():
            found = (await reader.find(self.client(), [self.keys()], job_id))[0]
        return None if found is None else self._job(*found)

    def _job(self, record: JobRecord, state: str) -> Job:
        # BullMQ tells prioritized apart; to who waits for the job it is waiting all the same.
        status = "waiting" if state == "prioritized" else state
        return Job(self, record.id, record.name, record.data, record=record, status=status)

    async def counts(self) -> dict[str, int]:
        """Jobs by state. One round trip."""
        with self.redis_errors():
            return (await reader.counts(self.client(), [self.keys()]))[0]

    async def logs(self, job_id: str, start: int = 0, end: int = -1) -> list[str]:
        """Log rows of a job, oldest first. One round trip."""
        with self.redis_errors():
            return await reader.logs(self.client(), self.keys(), job_id, start, end)

    async def outcome(self, job_id: str) -> Outcome:
        """Wait for a job's end; `Job.result` is the comfortable face of this."""
        with self.redis_errors():
            return await self._bind().results.outcome(job_id)

    # Signals

    async def signal(self, signal: str, payload: Any = None) -> bool:
        """Send what a `job.wait_for(signal)` waits for. One round trip. True if a job was woken.

        A signal that nobody waits for yet is kept for 7 days. Signals are not bound to a queue.
        """
        with self.redis_errors():
            return await send_signal(self.client(), self.keys().prefix, signal, encode(payload).decode())

    # Connecting

    def address(self) -> Address:
        return Address.resolve(self._redis_url, prefix=self.keys().prefix)

    def keys(self) -> QueueKeys:
        if self._keys is None:
            self._keys = QueueKeys(self._prefix or Settings.load().prefix, self.name)
        return self._keys

    def _bind(self) -> _Bound:
        loop = asyncio.get_running_loop()
        current = self._current
        if current is not None and current.loop is loop:
            return current
        bound = self._bound.get(loop)
        if bound is None:
            forget_closed_loops(self._bound)
            bound = self._bound[loop] = _Bound(self, loop, shared_client(self.address()))
        self._current = bound
        return bound

    def client(self) -> aioredis.Redis:
        """The running loop's client, for what is built on a queue (its schedules, groups, administration)."""
        return self._bind().client

    @contextlib.contextmanager
    def redis_errors(self) -> Iterator[None]:
        """Turns what redis-py raises into RedisUnavailable (RedisFull, RedisRefused)."""
        try:
            yield
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> RedisUnavailable:
        return as_corral_error(error, f"queue {self.name!r}")

    async def close(self) -> None:
        """Stop waiting for results. The connection pool stays: other queues of the process share it."""
        self._current = None
        bound = self._bound.pop(asyncio.get_running_loop(), None)
        if bound is not None:
            await bound.results.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Queue({self.name!r})"


class _Bound:
    """What a queue holds in one event loop."""

    __slots__ = ("client", "layout_checked", "loop", "producer", "results", "templates")

    def __init__(self, queue: Queue, loop: asyncio.AbstractEventLoop, client: aioredis.Redis) -> None:
        keys = queue.keys()
        self.loop = loop
        self.client = client
        self.producer = Producer(client, keys)
        self.results = Results(client, stream_client(queue.address()), keys)
        self.templates = Templates(queue, keys)
        self.layout_checked = False


def check_layout(queue: str, version: str | None) -> None:
    """Raise LayoutUnsupported if a Node client of an unknown major version wrote the queue."""
    if version and version.startswith("bullmq:"):
        major = version.removeprefix("bullmq:").split(".")[0]
        if major not in KNOWN_LAYOUTS:
            raise LayoutUnsupported(
                f"Queue {queue!r} was written by {version}; this Corral knows layouts up to 6. Upgrade it."
            )
