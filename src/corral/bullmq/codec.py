"""How jobs look on the wire: options and job hashes, as BullMQ 6 writes and reads them.

Milliseconds and BullMQ's short names exist only here. Reading is liberal: options of any version,
long or short names, unknown fields kept out of the way. Writing uses what stock clients understand;
what only Corral knows rides in fields they ignore (`backoff.delays`, `backoff.maxDelay`, `timeout`, `ttl`,
`webhook`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from corral.bullmq.cancel import was_cancelled
from corral.dedup import Dedup
from corral.hooks import Webhook, decode_hook, encode_hook
from corral.policy import Keep, Retry

#: BullMQ keeps the last rows of a stack trace list; ten attempts tell the story.
STACKTRACE_LIMIT = 10

#: In the back-off of a job whose queue declares a function for it. A Node worker passes it over and waits by
#: the rest: a type of our own would raise in it, and leave the job active.
QUEUE_WAITS = "queueWaits"

#: The largest whole number of JavaScript; what is above it is nonsense, and Lua would not hold it exactly.
LARGEST = 2**53 - 1

#: Epoch seconds: the last that `datetime` has.
_LAST_MOMENT = 253_402_300_799

_DEFAULT_MAX_DELAY = Retry().max_delay

_encode_json = msgspec.json.Encoder().encode
_decode_json = msgspec.json.decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What a job brings along. None: it does not say, so its queue's policy decides."""

    retry: Retry | None = None
    timeout: float | None = None
    completed: Keep | None = None
    failed: Keep | None = None
    keep_logs: int | None = None
    lifo: bool = False
    ttl: float | None = None
    #: Seconds that the job was to wait at first, from when it was added.
    delay: float = 0.0
    #: `retry` counts for its attempts alone; the waits are the queue's.
    queue_waits: bool = False
    webhook: Webhook | None = None
    #: The trace it belongs to, as `corral.tracing` reads it.
    trace: str | None = None


NO_OPTIONS = JobOptions()
KEEP_ALL = Keep()
REMOVE = Keep(count=0)


def encode_options(
    *,
    retry: Retry | None,
    timeout: float | None,
    delay_ms: int,
    priority: int,
    lifo: bool,
    job_id: str,
    completed: Keep | None,
    failed: Keep | None,
    keep_logs: int | None = None,
    ttl: float | None = None,
    size_limit: int | None = None,
    dedup: Dedup | None = None,
    webhook: Webhook | None = None,
) -> str:
    """The `opts` field of a job, in BullMQ's words."""
    opts: dict[str, Any] = {"attempts": retry.attempts if retry else 0}
    if retry is not None and retry.attempts > 1:
        opts["backoff"] = _encode_backoff(retry)
    if delay_ms:
        opts["delay"] = delay_ms
    if priority:
        opts["priority"] = priority
    if lifo:
        opts["lifo"] = True
    if job_id:
        opts["jobId"] = job_id
    if timeout is not None:
        opts["timeout"] = round(timeout * 1000)
    if completed is not None:
        opts["removeOnComplete"] = _encode_keep(completed)
    if failed is not None:
        opts["removeOnFail"] = _encode_keep(failed)
    if keep_logs is not None:
        opts["kl"] = keep_logs
    if ttl is not None:
        opts["ttl"] = round(ttl * 1000)
    if size_limit is not None:
        opts["sizeLimit"] = size_limit
    if dedup is not None:
        opts["de"] = _encode_dedup(dedup)
    if webhook is not None:
        opts["webhook"] = encode_hook(webhook)
    return _encode_json(opts).decode()


def with_trace(options: str, trace: str) -> str:
    """The same options with the trace that the job belongs to."""
    return f'{options[:-1]},"tm":{_encode_json(trace).decode()}}}'


def _encode_dedup(dedup: Dedup) -> dict[str, Any]:
    de: dict[str, Any] = {"id": dedup.id}
    if dedup.ttl is not None:
        de["ttl"] = round(dedup.ttl * 1000)
    if dedup.extend:
        de["extend"] = True
    if dedup.replace:
        de["replace"] = True
    if dedup.keep_last_if_active:
        de["keepLastIfActive"] = True
    return de


def _encode_backoff(retry: Retry) -> dict[str, Any]:
    """Explicit delays become BullMQ's "fixed" with the first of them, so a Node worker waits as well."""
    if retry.delays:
        backoff: dict[str, Any] = {"type": "fixed", "delay": round(retry.delays[0] * 1000)}
        backoff["delays"] = [round(d * 1000) for d in retry.delays]
    else:
        backoff = {"type": retry.backoff, "delay": round(retry.delay * 1000)}
    if retry.jitter:
        backoff["jitter"] = retry.jitter
    if retry.max_delay != _DEFAULT_MAX_DELAY:
        backoff["maxDelay"] = round(retry.max_delay * 1000)
    if retry.wait is not None:
        backoff[QUEUE_WAITS] = True
    return backoff


def _encode_keep(keep: Keep) -> bool | dict[str, float]:
    if keep.count == 0:
        return True
    bounds = {"count": keep.count, "age": keep.age}
    return {name: value for name, value in bounds.items() if value is not None} or False


def decode_options(raw: bytes | None) -> JobOptions:
    """Read `opts` of any producer. Nonsense in a field counts as not said: the job itself still runs."""
    if not raw or raw == b"{}":
        return NO_OPTIONS
    try:
        opts = _decode_json(raw)
    except _UNREADABLE:
        return NO_OPTIONS
    if not isinstance(opts, dict):
        return NO_OPTIONS
    backoff = opts.get("backoff")
    return JobOptions(
        retry=_decode_retry(opts),
        timeout=_seconds(opts.get("timeout")),
        completed=_decode_keep(opts.get("removeOnComplete")),
        failed=_decode_keep(opts.get("removeOnFail")),
        keep_logs=_count(opts.get("kl", opts.get("keepLogs"))),
        lifo=opts.get("lifo") is True,
        ttl=_seconds(opts.get("ttl")),
        delay=_seconds(opts.get("delay")) or 0.0,
        queue_waits=isinstance(backoff, dict) and backoff.get(QUEUE_WAITS) is True,
        webhook=decode_hook(opts.get("webhook")),
        trace=_decode_trace(opts),
    )


def _decode_retry(opts: Mapping[str, Any]) -> Retry | None:
    attempts = _count(opts.get("attempts"))
    if not attempts:
        return None
    backoff = opts.get("backoff")
    if isinstance(backoff, (int, float)) and not isinstance(backoff, bool):
        backoff = {"type": "fixed", "delay": backoff}
    if not isinstance(backoff, dict):
        return Retry(attempts=attempts, backoff="fixed", delay=0)
    listed = backoff.get("delays")
    delays = [s for s in map(_seconds, listed) if s is not None] if isinstance(listed, list) else []
    limit = _seconds(backoff.get("maxDelay"))
    jitter = backoff.get("jitter")
    return Retry(
        attempts=attempts,
        delays=delays,
        # A type only its producer knows: doubling is the kinder guess towards whatever is failing.
        backoff="fixed" if backoff.get("type") == "fixed" else "exponential",
        delay=_seconds(backoff.get("delay")) or 0.0,
        jitter=float(jitter) if isinstance(jitter, (int, float)) and 0 <= jitter <= 1 else 0.0,
        max_delay=_DEFAULT_MAX_DELAY if limit is None else limit,
    )


def _decode_keep(value: Any) -> Keep | None:
    if value is True:
        return REMOVE
    if value is False:
        return KEEP_ALL
    if isinstance(value, (int, float)):
        return Keep(count=_count(value))
    if isinstance(value, dict):
        return Keep(count=_count(value.get("count")), age=_positive(value.get("age")))
    return None


def _decode_trace(opts: Mapping[str, Any]) -> str | None:
    """None too where the producer wants the job to begin a trace of its own (`omitContext`)."""
    trace = opts.get("tm")
    return trace if isinstance(trace, str) and not opts.get("omc") else None


def _count(value: Any) -> int | None:
    number = _positive(value)
    return None if number is None else int(number)


def _seconds(milliseconds: Any) -> float | None:
    number = _positive(milliseconds)
    return None if number is None else number / 1000


def _positive(value: Any) -> float | None:
    """A number of 0 or more, bounded; None for anything else, True and NaN included."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(min(value, LARGEST))
    return None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job hash as it stands in Redis, decoded as far as BullMQ defines it. Times are epoch seconds."""

    id: str
    name: str
    data: bytes
    options: bytes
    enqueued_at: float | None
    started_at: float | None
    finished_at: float | None
    progress: Any
    returnvalue: bytes | None
    failed_reason: str | None
    stacktrace: list[str]
    attempts_made: int
    attempts_started: int
    stalled_count: int
    priority: int
    delay: float
    processed_by: str | None
    #: A worker ended it because somebody cancelled it.
    cancelled: bool = False
    #: The group it shares the queue in, and the id that keeps others like it away.
    group: str | None = None
    dedup: str | None = None


def decode_record(job_id: str, fields: Mapping[bytes, bytes]) -> JobRecord:
    """Turn HGETALL of a job into a record. Fields of a foreign client may be missing or odd."""
    get = fields.get
    return JobRecord(
        id=job_id,
        name=_text(get(b"name")) or "",
        data=get(b"data", b"null"),
        options=get(b"opts", b"{}"),
        enqueued_at=_epoch(get(b"timestamp")),
        started_at=_epoch(get(b"processedOn")),
        finished_at=_epoch(get(b"finishedOn")),
        progress=_json_or(get(b"progress"), 0),
        returnvalue=get(b"returnvalue"),
        failed_reason=_reason(get(b"failedReason")),
        stacktrace=decode_stacktrace(get(b"stacktrace")),
        attempts_made=whole(get(b"atm", get(b"attemptsMade"))),
        attempts_started=whole(get(b"ats")),
        stalled_count=whole(get(b"stc")),
        priority=whole(get(b"priority")),
        delay=whole(get(b"delay")) / 1000,
        processed_by=_text(get(b"pb")),
        cancelled=was_cancelled(get(b"corral:cancel")),
        group=_text(get(b"corral:group")),
        dedup=_text(get(b"deid")),
    )


def decode_stacktrace(raw: bytes | None) -> list[str]:
    rows = _json_or(raw, [])
    return [str(row) for row in rows] if isinstance(rows, list) else []


def append_stacktrace(raw: bytes | None, row: str) -> str:
    """The stored list with one more row, the newest last, bounded."""
    return _encode_json([*decode_stacktrace(raw), row][-STACKTRACE_LIMIT:]).decode()


def _reason(raw: bytes | None) -> str | None:
    """Python ports before 3.0.4 stored the reason as a JSON string; everyone else as it is."""
    text = _text(raw)
    if text and text[0] == text[-1] == '"' and len(text) > 1:
        quoted = _json_or(raw, text)
        return quoted if isinstance(quoted, str) else text
    return text


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode(errors="replace")


def whole(raw: bytes | None) -> int:
    """A whole number out of a job hash; what is none counts as 0."""
    try:
        return int(float(raw)) if raw else 0
    except (ValueError, OverflowError):
        return 0


def _epoch(raw: bytes | None) -> float | None:
    """A moment that a calendar has; what is none (NaN, a year above 9999) counts as not there."""
    try:
        seconds = -1.0 if raw is None else float(raw) / 1000
    except ValueError:
        return None
    return seconds if 0 <= seconds <= _LAST_MOMENT else None


def _json_or(raw: bytes | None, default: Any) -> Any:
    try:
        return default if raw is None else _decode_json(raw)
    except _UNREADABLE:
        return default
