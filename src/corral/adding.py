"""The options of an add: checked, merged with the queue's defaults, turned into what travels. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict, cast

from corral.bullmq.clock import server_seconds
from corral.bullmq.codec import KEEP_ALL, REMOVE, encode_options, with_trace
from corral.bullmq.grouping import LOCK
from corral.bullmq.keys import QueueKeys, check_job_id
from corral.bullmq.producer import NewJobs
from corral.data import encode
from corral.dedup import Dedup
from corral.errors import InvalidData, InvalidOptions, JobTooLarge
from corral.groups import group_of
from corral.hook_settings import HookSettings
from corral.hooks import Webhook
from corral.policy import MAX_PRIORITY, Keep, Priority, Retry
from corral.tracing import to_carry

if TYPE_CHECKING:
    import redis.asyncio as aioredis

    from corral.queue import Queue

#: How long an idempotency key gives the same job.
IDEMPOTENCY_SECONDS = 24 * 3600

#: Longest delay; beyond it a number is surely in the wrong unit.
MAX_DELAY_SECONDS = 100 * 365 * 86_400.0

#: Options of one queue that are remembered in their encoded form; producers mostly repeat themselves.
CACHE = 256

#: Options that differ from job to job.
_PERSONAL = frozenset(("at", "delay", "job_id", "idempotency_key", "dedup"))

#: Those of them that change nothing else about the job.
_NAMES = frozenset(("job_id", "idempotency_key"))


class JobDefaults(TypedDict, total=False):
    """Options that a queue can give all its jobs, beside those it has parameters for."""

    #: Run before jobs that were added earlier.
    lifo: bool
    #: True removes the job when it has completed; a number or a Keep keeps so many, for so long; False keeps
    #: all. Default is the queue's retention. The job that finishes trims the whole set by its own (BullMQ).
    remove_on_complete: bool | int | Keep | None
    #: The same for jobs that fail for good.
    remove_on_fail: bool | int | Keep | None
    #: Log rows kept for the job, the newest.
    keep_logs: int | None


class ManyOptions(JobDefaults, total=False):
    """Options that many jobs can share."""

    #: Seconds until the job may start.
    delay: float | None
    #: The moment at which it may start by the server's clock, instead of `delay`; an aware datetime.
    at: datetime | None
    #: Lower runs first; default is the queue's.
    priority: Priority | int | None
    #: Jobs of a group wait together; groups take turns, each within its limits. See corral.groups.
    group: str | None
    #: Two jobs with the same lock never run together.
    lock: str | None
    #: Attempts and waits; default is the queue's.
    retry: Retry | None
    #: Seconds an attempt may take; default is the queue's.
    timeout: float | None
    #: Seconds, from when the job is due, within which it must have started; else it goes to the dead letters.
    ttl: float | None
    #: Bytes that the data may have; default is the queue's.
    max_data_bytes: int | None
    #: Of jobs that share its id, one is kept; the job that is there in the end is returned.
    dedup: Dedup | None
    #: Gets a signed POST when the job has completed or failed for good. See docs/queues/webhooks.md.
    webhook: str | Webhook | None


class AddOptions(ManyOptions, total=False):
    """Options of one job."""

    #: A job of this id that exists already is returned as it is.
    job_id: str | None
    #: For 24 hours the same key gives the same job, whatever `job_id` comes with it; other data or another
    #: name under it raises IdempotencyConflict.
    idempotency_key: str | None


class Templates:
    """Turns options into NewJobs without data, remembering what repeats."""

    def __init__(self, queue: Queue, keys: QueueKeys) -> None:
        self._queue = queue
        self._keys = keys
        self._known: dict[Any, NewJobs] = {}
        self._plain: dict[str, NewJobs] = {}
        self._hook_settings: HookSettings | None = None

    def traced(self, name: str, options: AddOptions) -> NewJobs:
        """`make`, with the trace that the caller is in. Raises InvalidOptions."""
        made = self.make(name, options)
        carried = to_carry(self._queue.name, name)
        if not carried:
            return made
        return made._replace(options=with_trace(made.options, carried))

    def make(self, name: str, options: AddOptions) -> NewJobs:
        """Raises InvalidOptions."""
        if not options:  # the most common add of all
            return self._plain.get(name) or self._remember_plain(name)
        if not _PERSONAL.isdisjoint(options):
            return self._named(name, options) if options.keys() <= _NAMES else self._build(name, options)
        # To Python True is 1 and False is 0; to `remove_on_complete` they are not.
        removal = type(options.get("remove_on_complete")), type(options.get("remove_on_fail"))
        try:
            key = (name, removal, frozenset(options.items()))
        except TypeError:  # a value that cannot be hashed is no option's; the checks name it
            return self._build(name, options)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= CACHE:
                self._known.clear()
            known = self._known[key] = self._build(name, options)
        return known

    def _named(self, name: str, options: AddOptions) -> NewJobs:
        """A job that brings a name of its own and nothing else: what the HTTP routes add."""
        plain = self._plain.get(name) or self._remember_plain(name)
        job_id, once = options.get("job_id"), options.get("idempotency_key")
        _check_text(job_id=job_id, idempotency_key=once)
        text = plain.options
        if job_id is not None:
            check_job_id(job_id)
            text = f'{text[:-1]},"jobId":{encode(job_id).decode()}}}'
        return NewJobs(
            job_id or "", name, text, plain.delay_ms, plain.priority, plain.lifo, 0,
            "" if once is None else self._keys.once(once), plain.once_ms, [], plain.group, plain.group_size,
        )  # fmt: skip

    def _remember_plain(self, name: str) -> NewJobs:
        if len(self._plain) >= CACHE:
            self._plain.clear()
        made = self._plain[name] = self._build(name, {})
        return made

    def _build(self, name: str, options: AddOptions) -> NewJobs:
        if not name:
            raise InvalidOptions("A job needs a name.")
        _check_text(name=name, job_id=options.get("job_id"), idempotency_key=options.get("idempotency_key"))
        group = group_of(options.get("group"), options.get("lock"))
        _check_text(group=group)
        limits = self._queue.group_limits
        _check_names(options)
        dedup = options.get("dedup")
        if dedup and group:
            raise InvalidOptions("A job with `dedup` has no `group` or `lock`: BullMQ's scripts know none.")
        options = cast("AddOptions", {**self._queue.defaults, **_said(options)})
        job_id, once = options.get("job_id"), options.get("idempotency_key")
        if job_id is not None:
            check_job_id(job_id)
        timeout, ttl = options.get("timeout"), options.get("ttl")
        keep_logs, size_limit = options.get("keep_logs"), options.get("max_data_bytes")
        check_bounds(timeout=timeout, ttl=ttl, keep_logs=keep_logs, max_data_bytes=size_limit)
        delay, at = options.get("delay"), options.get("at")
        if dedup is not None:
            if not isinstance(dedup, Dedup):
                raise InvalidOptions(f"dedup={dedup!r}: write Dedup.simple(id), .throttle(id, seconds), …")
            if once is not None:
                raise InvalidOptions(
                    "Give a job `dedup` or `idempotency_key`, not both: each picks the job to keep."
                )
            if delay is None and at is None:
                delay = dedup.default_delay
        delay_ms = _delay_ms(delay, at)
        priority = options.get("priority")
        priority = self._queue.priority if priority is None else priority
        check_bounds(priority=priority)
        retry = options.get("retry") or (self._queue.retry if self._queue.writes_retry else None)
        if retry is not None:
            _check_retry(retry, self._queue.retry)
        lifo = options.get("lifo", False)
        text = encode_options(
            retry=retry,
            timeout=timeout,
            delay_ms=delay_ms,
            priority=priority,
            lifo=lifo,
            job_id=job_id or "",
            completed=_keep(options.get("remove_on_complete")),
            failed=_keep(options.get("remove_on_fail")),
            keep_logs=keep_logs,
            ttl=ttl,
            size_limit=size_limit,
            dedup=dedup,
            webhook=self._hook(options.get("webhook")),
        )
        return NewJobs(
            id=job_id or "",
            name=name,
            options=text,
            delay_ms=delay_ms,
            priority=int(priority),
            lifo=lifo,
            timestamp_ms=0,
            once_key="" if once is None else self._keys.once(once),
            once_ms=IDEMPOTENCY_SECONDS * 1000,
            data=[],
            group=group,
            group_size=limits.max_size or 0 if limits and not group.startswith(LOCK) else 0,
        )

    def _hook(self, given: str | Webhook | None) -> Webhook | None:
        if given is None:
            return None
        if self._hook_settings is None:
            self._hook_settings = HookSettings.load()
        return self._hook_settings.checked(given)


def check_data(
    queue: Queue, raw: bytes, decode: Callable[[bytes], Any], limit: int | None = None, *, name: str
) -> str:
    """The data of a job of this name as it is stored, once its size and type are right.

    Raises JobTooLarge, InvalidData.
    """
    seals = queue.may_seal and queue.sealing.active
    size = queue.sealing.size(len(raw)) if seals else len(raw)
    if size > (limit or queue.max_data_bytes):
        taker = f"queue {queue.name!r}" if limit is None else "this add"
        stored = ", encrypted" if seals else ""
        raise JobTooLarge(
            f"The data has {size:,} bytes{stored}; {taker} takes {limit or queue.max_data_bytes:,}. "
            "Store it elsewhere and pass a reference."
        )
    decode(raw)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:  # in a field that the type does not know, hence skipped
        raise InvalidData(f"Invalid data: it is not UTF-8 at byte {error.start}.") from None
    return queue.sealing.seal("data", name, raw) if seals else text


def check_bounds(
    *,
    timeout: float | None = None,
    concurrency: int | None = None,
    priority: int | None = None,
    ttl: float | None = None,
    keep_logs: int | None = None,
    max_data_bytes: int | None = None,
) -> None:
    """Raise InvalidOptions for a number that makes no sense."""
    if ttl is not None and not 0 < ttl <= MAX_DELAY_SECONDS:
        raise InvalidOptions(f"ttl={ttl}: seconds above zero, or None for no limit.")
    if keep_logs is not None and keep_logs < 1:
        raise InvalidOptions(f"keep_logs={keep_logs}: at least one row.")
    if max_data_bytes is not None and max_data_bytes < 1:
        raise InvalidOptions(f"max_data_bytes={max_data_bytes}: at least one byte.")
    if timeout is not None and not 0 < timeout <= MAX_DELAY_SECONDS:
        raise InvalidOptions(f"timeout={timeout}: seconds above zero, or None for no limit.")
    if concurrency is not None and concurrency < 1:
        raise InvalidOptions(f"concurrency={concurrency}: at least one job at once.")
    if priority is not None and not (isinstance(priority, int) and 0 <= priority <= MAX_PRIORITY):
        raise InvalidOptions(f"priority={priority}: whole numbers from 0 to {MAX_PRIORITY:,}.")


def _check_text(**texts: str | None) -> None:
    for option, text in texts.items():
        try:
            (text or "").encode()
        except UnicodeEncodeError:
            raise InvalidOptions(f"{option}={text!r}: it holds half a character.") from None


def _check_names(options: AddOptions) -> None:
    for name in options:
        if name not in AddOptions.__optional_keys__:
            import difflib  # noqa: PLC0415  # only a slip needs it

            near = difflib.get_close_matches(name, AddOptions.__optional_keys__, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidOptions(f"{name!r} is not an option of a job.{hint}")


def _said(options: AddOptions) -> dict[str, Any]:
    """None is what an option holds that nobody set: the queue's default then stands."""
    return {name: value for name, value in options.items() if value is not None}


def check_defaults(defaults: JobDefaults) -> JobDefaults:
    """A copy of a queue's defaults. Raises InvalidOptions."""
    for name in defaults:
        if name not in JobDefaults.__optional_keys__:
            known = ", ".join(sorted(JobDefaults.__optional_keys__))
            raise InvalidOptions(f"{name!r} is no default that `defaults` takes; those are: {known}.")
    check_bounds(keep_logs=defaults.get("keep_logs"))
    for removal in (defaults.get("remove_on_complete"), defaults.get("remove_on_fail")):
        _keep(removal)
    return JobDefaults(**defaults)


def _check_retry(retry: Retry, queue: Retry) -> None:
    """Functions and classes do not travel: only the queue that a worker declares can have them."""
    if not isinstance(retry, Retry):
        raise InvalidOptions(f"retry={retry!r}: write Retry(attempts=…, delays=…).")
    for name in ("wait", "permanent", "retryable"):
        given = getattr(retry, name)
        if given and given != getattr(queue, name):
            raise InvalidOptions(f"Retry({name}=…) cannot travel with a job: declare it on the queue.")


async def by_the_servers_clock(client: aioredis.Redis, options: AddOptions) -> AddOptions:
    """The same options with `delay` in the place of `at`. At most one round trip a minute, none without `at`.

    Raises InvalidOptions, and what redis-py raises.
    """
    at = options.get("at")
    if at is None:
        return options
    _delay_ms(options.get("delay"), at)  # what is wrong about it needs no server
    delay = max(0.0, at.timestamp() - await server_seconds(client))
    return cast("AddOptions", {**options, "at": None, "delay": delay})


def _delay_ms(delay: float | None, at: datetime | None) -> int:
    if at is not None:
        if delay is not None:
            raise InvalidOptions("Give a job `delay` or `at`, not both.")
        if at.tzinfo is None:
            raise InvalidOptions("`at` needs a time zone: use datetime.now(UTC) or a zone of your own.")
        delay = max(0.0, at.astimezone(UTC).timestamp() - time.time())
    if delay is None:
        return 0
    if not 0 <= delay <= MAX_DELAY_SECONDS:
        raise InvalidOptions(f"delay={delay}: seconds from 0 to 100 years.")
    return round(delay * 1000)


def _keep(value: bool | int | Keep | None) -> Keep | None:
    if value is None or isinstance(value, Keep):
        return value
    if value is True:
        return REMOVE
    if value is False:
        return KEEP_ALL
    if not isinstance(value, int) or value < 0:
        raise InvalidOptions(
            f"remove_on_complete/remove_on_fail={value!r}: True, False, a number to keep, or a Keep."
        )
    return Keep(count=value)
