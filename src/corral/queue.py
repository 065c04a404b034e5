"""Declare a queue, add jobs to it, look them up.

A Queue is cheap to make and safe to keep at module level: it reads the environment and connects when it is
first used, once for each event loop, over a pool that all queues of the process share.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

import msgspec
import redis.asyncio as aioredis
from redis.exceptions import RedisError

from corral.bullmq import reader
from corral.bullmq.codec import KEEP_ALL, REMOVE, JobRecord, encode_options
from corral.bullmq.connection import Address, shared_client
from corral.bullmq.keys import QueueKeys, check_job_id, check_queue_name
from corral.bullmq.producer import Added, NewJob, Producer
from corral.bullmq.signals import send_signal
from corral.data import decode_json, encode
from corral.definition import JobDefinition, define
from corral.errors import (
    ConfigurationError,
    IdempotencyConflict,
    InvalidOptions,
    JobTooLarge,
    LayoutUnsupported,
    RedisUnavailable,
    UnknownJobName,
)
from corral.job import Job
from corral.policy import MAX_PRIORITY, Keep, Priority, RateLimit, Retention, Retry
from corral.results import Outcome, Results
from corral.settings import Settings

Handler = TypeVar("Handler", bound=Callable[..., Any])

#: Jobs larger than this belong elsewhere (an object store), with a reference in the job.
MAX_DATA_BYTES = 1_048_576

#: How long an idempotency key gives the same job.
IDEMPOTENCY_SECONDS = 24 * 3600

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
        _check_bounds(timeout=timeout, concurrency=concurrency, priority=priority)
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
        self._bound: WeakKeyDictionary[asyncio.AbstractEventLoop, _Bound] = WeakKeyDictionary()

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

    async def add(
        self,
        name: str,
        data: Any = None,
        *,
        delay: float | None = None,
        at: datetime | None = None,
        priority: Priority | int | None = None,
        lifo: bool = False,
        job_id: str | None = None,
        idempotency_key: str | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the job's, not the call's
        remove_on_complete: bool | int | None = None,
        remove_on_fail: bool | int | None = None,
    ) -> Job:
        """Add a job; when this returns, Redis has it. Concurrent adds share a round trip.

        delay: seconds until it may start; at: the moment instead (aware datetime).
        job_id: a job of this id that exists already is returned as it is.
        idempotency_key: for 24 hours the same key gives the same job.
        remove_on_complete, remove_on_fail: True removes at once, a number keeps that many, False keeps all.
        Raises InvalidData, InvalidOptions, JobTooLarge, IdempotencyConflict, RedisUnavailable.
        """
        options = _AddOptions(
            delay,
            at,
            priority,
            lifo,
            job_id,
            idempotency_key,
            retry,
            timeout,
            remove_on_complete,
            remove_on_fail,
        )
        return await self._add_one(name, encode(data), options)

    async def add_json(
        self,
        name: str,
        raw: bytes,
        *,
        delay: float | None = None,
        at: datetime | None = None,
        priority: Priority | int | None = None,
        lifo: bool = False,
        job_id: str | None = None,
        idempotency_key: str | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the job's, not the call's
        remove_on_complete: bool | int | None = None,
        remove_on_fail: bool | int | None = None,
    ) -> Job:
        """`add` for data that is JSON bytes already: checked, and stored as it came."""
        options = _AddOptions(
            delay,
            at,
            priority,
            lifo,
            job_id,
            idempotency_key,
            retry,
            timeout,
            remove_on_complete,
            remove_on_fail,
        )
        return await self._add_one(name, raw, options)

    async def add_many(
        self,
        name: str,
        items: Sequence[Any],
        *,
        delay: float | None = None,
        at: datetime | None = None,
        priority: Priority | int | None = None,
        lifo: bool = False,
        retry: Retry | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the jobs', not the call's
        remove_on_complete: bool | int | None = None,
        remove_on_fail: bool | int | None = None,
    ) -> list[Job]:
        """Add a job for each item, with the same options as `add`. All data is checked before any is added.

        One round trip for each 1,000 jobs; each such part is added whole or not at all.
        """
        options = _AddOptions(
            delay, at, priority, lifo, None, None, retry, timeout, remove_on_complete, remove_on_fail
        )
        raws = [encode(item) for item in items]
        return await self.add_many_json(name, raws, options)

    async def add_many_json(
        self, name: str, raws: Sequence[bytes], options: _AddOptions | None = None
    ) -> list[Job]:
        """`add_many` for JSON bytes."""
        decode = self._decoder(name)
        row = self._prepare(name, options or _DEFAULTS)
        rows = [row._replace(data=self._check(raw, decode)) for raw in raws]
        added = await self._send(rows)
        return [
            Job(self, one.id, name, raw, existed=one.existing_data is not None)
            for one, raw in zip(added, raws, strict=True)
        ]

    async def _add_one(self, name: str, raw: bytes, options: _AddOptions) -> Job:
        text = self._check(raw, self._decoder(name))
        row = self._prepare(name, options)._replace(data=text)
        one = (await self._send([row]))[0]
        if one.existing_data is None:
            return Job(self, one.id, name, raw)
        if options.idempotency_key is not None and decode_json(one.existing_data) != decode_json(raw):
            raise IdempotencyConflict(
                f"Idempotency key {options.idempotency_key!r} was used in queue {self.name!r} with other data. "
                "Use a new key for a new request."
            )
        return Job(self, one.id, name, one.existing_data, existed=True)

    def _decoder(self, name: str) -> Callable[[bytes], Any]:
        definition = self.jobs.get(name)
        if definition is not None:
            return definition.decode_data
        if self.jobs:
            # A process that declares some of a queue's jobs declares them all: this one is a slip.
            known = ", ".join(sorted(self.jobs))
            raise UnknownJobName(f"Queue {self.name!r} has no job {name!r}. It has: {known}.")
        return decode_json

    def _check(self, raw: bytes, decode: Callable[[bytes], Any]) -> str:
        if len(raw) > self.max_data_bytes:
            raise JobTooLarge(
                f"The data has {len(raw):,} bytes; queue {self.name!r} takes {self.max_data_bytes:,}. "
                "Store it elsewhere and pass a reference."
            )
        decode(raw)
        return raw.decode()

    def _prepare(self, name: str, options: _AddOptions) -> NewJob:
        if not name:
            raise InvalidOptions("A job needs a name.")
        delay_ms, priority = options.delay_ms(), options.effective_priority(self.priority)
        if options.job_id is not None:
            check_job_id(options.job_id)
        text = encode_options(
            retry=options.retry or self.retry,
            timeout=options.timeout,
            delay_ms=delay_ms,
            priority=priority,
            lifo=options.lifo,
            job_id=options.job_id or "",
            completed=_keep(options.remove_on_complete),
            failed=_keep(options.remove_on_fail),
        )
        once = self.keys().once(options.idempotency_key) if options.idempotency_key is not None else ""
        return NewJob(
            id=options.job_id or "",
            name=name,
            data="",
            options=text,
            delay_ms=delay_ms,
            priority=priority,
            lifo=options.lifo,
            timestamp_ms=0,
            once_key=once,
            once_ms=IDEMPOTENCY_SECONDS * 1000,
        )

    async def _send(self, rows: list[NewJob]) -> list[Added]:
        with self._redis_errors():
            bound = await self._ready()
            return await bound.producer.add(rows)

    # Looking up

    async def get(self, job_id: str) -> Job | None:
        """A job with its state, or None. One round trip. Raises RedisUnavailable."""
        with self._redis_errors():
            found = (await reader.find(self._bind().client, [self.keys()], job_id))[0]
        return None if found is None else self._job(*found)

    def _job(self, record: JobRecord, state: str) -> Job:
        # BullMQ tells prioritized apart; to who waits for the job it is waiting all the same.
        status = "waiting" if state == "prioritized" else state
        return Job(self, record.id, record.name, record.data, record=record, status=status)

    async def counts(self) -> dict[str, int]:
        """Jobs by state. One round trip."""
        with self._redis_errors():
            return (await reader.counts(self._bind().client, [self.keys()]))[0]

    async def logs(self, job_id: str, start: int = 0, end: int = -1) -> list[str]:
        """Log rows of a job, oldest first. One round trip."""
        with self._redis_errors():
            return await reader.logs(self._bind().client, self.keys(), job_id, start, end)

    async def outcome(self, job_id: str) -> Outcome:
        """Wait for a job's end; `Job.result` is the comfortable face of this."""
        with self._redis_errors():
            return await self._bind().results.outcome(job_id)

    # Signals

    async def signal(self, signal: str, payload: Any = None) -> bool:
        """Send what a `job.wait_for(signal)` waits for. One round trip. True if a job was woken.

        A signal that nobody waits for yet is kept for 7 days. Signals are not bound to a queue.
        """
        with self._redis_errors():
            return await send_signal(
                self._bind().client, self.keys().prefix, signal, encode(payload).decode()
            )

    # Connecting

    def address(self) -> Address:
        return Address.resolve(self._redis_url)

    def keys(self) -> QueueKeys:
        prefix = self._prefix if self._prefix is not None else Settings.load().prefix
        self._prefix = prefix
        cached: QueueKeys | None = self.__dict__.get("_keys")
        if cached is None or cached.prefix != prefix:
            cached = self.__dict__["_keys"] = QueueKeys(prefix, self.name)
        return cached

    def _bind(self) -> _Bound:
        loop = asyncio.get_running_loop()
        bound = self._bound.get(loop)
        if bound is None:
            client = shared_client(self.address())
            bound = self._bound[loop] = _Bound(client, self.keys())
        return bound

    async def _ready(self) -> _Bound:
        """Bind, and once look at the layout before the first write to a queue."""
        bound = self._bind()
        if not bound.layout_checked:
            check_layout(self.name, await reader.version(bound.client, self.keys()))
            bound.layout_checked = True
        return bound

    @contextlib.contextmanager
    def _redis_errors(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            raise RedisUnavailable(
                f"Redis did not answer for queue {self.name!r} ({type(error).__name__}). Try again."
            ) from error

    async def close(self) -> None:
        """Stop waiting for results. The connection pool stays: other queues of the process share it."""
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

    __slots__ = ("client", "layout_checked", "producer", "results")

    def __init__(self, client: aioredis.Redis, keys: QueueKeys) -> None:
        self.client = client
        self.producer = Producer(client, keys)
        self.results = Results(client, keys)
        self.layout_checked = False


class _AddOptions(msgspec.Struct, frozen=True):
    """The keyword arguments of one add."""

    delay: float | None = None
    at: datetime | None = None
    priority: int | None = None
    lifo: bool = False
    job_id: str | None = None
    idempotency_key: str | None = None
    retry: Retry | None = None
    timeout: float | None = None
    remove_on_complete: bool | int | None = None
    remove_on_fail: bool | int | None = None

    def delay_ms(self) -> int:
        delay = self.delay
        if self.at is not None:
            if delay is not None:
                raise InvalidOptions("Give a job `delay` or `at`, not both.")
            if self.at.tzinfo is None:
                raise InvalidOptions("`at` needs a time zone: use datetime.now(UTC) or a zone of your own.")
            delay = max(0.0, self.at.astimezone(UTC).timestamp() - time.time())
        if delay is None:
            return 0
        if not 0 <= delay < 100 * 365 * 86_400:
            raise InvalidOptions(f"delay={delay}: seconds from 0 to 100 years.")
        return round(delay * 1000)

    def effective_priority(self, default: int) -> int:
        priority = default if self.priority is None else int(self.priority)
        _check_bounds(priority=priority, timeout=self.timeout)
        return priority


_DEFAULTS = _AddOptions()


def check_layout(queue: str, version: str | None) -> None:
    """Raise LayoutUnsupported if a Node client of an unknown major version wrote the queue."""
    if version and version.startswith("bullmq:"):
        major = version.removeprefix("bullmq:").split(".")[0]
        if major not in KNOWN_LAYOUTS:
            raise LayoutUnsupported(
                f"Queue {queue!r} was written by {version}; this Corral knows the layouts up to 6. Upgrade Corral."
            )


def _keep(value: bool | int | None) -> Keep | None:
    if value is None:
        return None
    if value is True:
        return REMOVE
    if value is False:
        return KEEP_ALL
    if value < 0:
        raise InvalidOptions(f"remove_on_complete/remove_on_fail={value}: keep 0 jobs or more.")
    return Keep(count=value)


def _check_bounds(
    *, timeout: float | None = None, concurrency: int | None = None, priority: int | None = None
) -> None:
    if timeout is not None and timeout <= 0:
        raise InvalidOptions(f"timeout={timeout}: seconds above zero, or None for no limit.")
    if concurrency is not None and concurrency < 1:
        raise InvalidOptions(f"concurrency={concurrency}: at least one job at once.")
    if priority is not None and not 0 <= priority <= MAX_PRIORITY:
        raise InvalidOptions(f"priority={priority}: whole numbers from 0 to {MAX_PRIORITY:,}.")
