"""What the management API shows of jobs: rows of a list, one job whole, and what is left out of both for who
may not see payloads. Pure; `jobs.py` reads.

Payload is what producers and handlers wrote: data, result, checkpoint, logs, the text of errors, progress
that is no number. Ids, names, times, counts and the classes of errors are none.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from corral.breaker import read_hold
from corral.bullmq.codec import JobRecord, decode_options
from corral.bullmq.grouping import LOCK
from corral.data import decode_json
from corral.errors import InvalidData
from corral.manage.masking import MARK, masked, masked_json, may_hide
from corral.policy import Retry

#: Of the data in a row of a list: so many fields, so many characters of each.
SHOWN_FIELDS, SHOWN_CHARS = 6, 40

#: A row of a list shows nothing of data that is larger: it would have to be read whole.
PREVIEWED_BYTES = 64_000

_CLASS = re.compile(r"[A-Za-z_][\w.]*")


class DataField(msgspec.Struct, frozen=True, rename="camel"):
    """A top-level field of a job's data, cut short."""

    name: str
    value: str


class JobRow(msgspec.Struct, frozen=True, rename="camel"):
    """A job in a list. Times are in epoch seconds.

    starts: how often it began to run; stalls: how often its worker vanished. lock: the keyed lock it takes.
    dedup: the id that keeps others like it away.

    due: when a delayed job may start. held: the breaker that holds it. preview and failedReason are null for
    who may not see payloads; errorType is the class of the last error, empty if there is none.
    """

    id: str
    name: str
    status: str
    priority: int
    attempts_made: int
    attempts: int
    enqueued_at: float | None
    started_at: float | None
    finished_at: float | None
    due: float | None
    held: str | None
    progress: float | None
    processed_by: str | None
    error_type: str
    failed_reason: str | None
    preview: list[DataField] | None
    data_bytes: int
    starts: int
    stalls: int
    group: str | None
    lock: str | None
    dedup: str | None


class OptionRow(msgspec.Struct, frozen=True, rename="camel"):
    """An option of a job in words."""

    name: str
    says: str


def job_row(
    record: JobRecord,
    status: str,
    *,
    attempts: int,
    due: float | None,
    held: bytes | None,
    payloads: bool,
) -> JobRow:
    """attempts: what the queue allows if the job does not say."""
    retry = decode_options(record.options).retry
    locked = (record.group or "").startswith(LOCK)
    return JobRow(
        id=record.id,
        name=record.name,
        status=status,
        priority=record.priority,
        attempts_made=record.attempts_made,
        attempts=retry.attempts if retry else attempts,
        enqueued_at=record.enqueued_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
        due=due,
        held=breaker_of(status, held),
        progress=number_of(record.progress),
        processed_by=record.processed_by,
        error_type=error_type(record.stacktrace[-1]) if record.stacktrace else "",
        failed_reason=_cut(record.failed_reason, 300) if payloads and record.failed_reason else None,
        preview=preview(record.data) if payloads else None,
        data_bytes=len(record.data),
        starts=record.attempts_started,
        stalls=record.stalled_count,
        group=None if locked else record.group,
        lock=(record.group or "").removeprefix(LOCK) if locked else None,
        dedup=record.dedup,
    )


def breaker_of(status: str, held: bytes | None) -> str | None:
    """The breaker that holds a job; None: none does, or it was let go."""
    hold = read_hold(held) if status == "delayed" else None
    return hold.breaker if hold is not None and not hold.mark else None


def number_of(progress: Any) -> float | None:
    return progress if isinstance(progress, (int, float)) and not isinstance(progress, bool) else None


def preview(raw: bytes) -> list[DataField]:
    """The first fields of data that is an object; else one field without a name."""
    if len(raw) > PREVIEWED_BYTES:
        return []
    try:
        data = decode_json(raw)
    except InvalidData:
        return [DataField("", _cut(raw.decode(errors="replace"), SHOWN_CHARS))]
    data = masked(data)
    if not isinstance(data, dict):
        return [] if data is None else [DataField("", _short(data))]
    return [DataField(_cut(k, SHOWN_CHARS), _short(v)) for k, v in list(data.items())[:SHOWN_FIELDS]]


def _short(value: Any) -> str:
    if value == MARK:
        return "hidden"
    if isinstance(value, str):
        return _cut(value, SHOWN_CHARS)
    if isinstance(value, dict):
        return f"{{{len(value)}}}"
    if isinstance(value, list):
        return f"[{len(value)}]"
    return _cut(msgspec.json.encode(value).decode(), SHOWN_CHARS)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def error_type(trace: str) -> str:
    """The class that a trace of Python or Node names; empty if it names none. Never a part of the message."""
    lines = trace.splitlines()
    last_frame = max((n for n, line in enumerate(lines) if line.startswith('  File "')), default=-1)
    for line in lines[last_frame + 1 :]:
        if line and not line.startswith(" "):
            name = line.partition(":")[0]
            return name if _CLASS.fullmatch(name) else ""
    return ""


def stored(raw: bytes | None, *, whole: bool = False) -> Any:
    """JSON as it was stored; as text if some client stored what is none. whole: also what is hidden."""
    if raw is None:
        return None
    try:
        if not whole and may_hide(raw):
            return masked_json(raw)
        decode_json(raw)
    except InvalidData:
        return raw.decode(errors="replace")
    return msgspec.Raw(raw)


class Policy(NamedTuple):
    """What a queue's code says of all its jobs."""

    retry: Retry
    timeout: float | None


def options_in_words(record: JobRecord, policy: Policy | None) -> list[OptionRow]:
    """What holds for the job: its own options, else those of its queue, if its code is known here."""
    own = decode_options(record.options)
    rows = []
    retry = own.retry or (policy.retry if policy else None)
    if retry is not None:
        waits = policy.retry if policy and own.queue_waits else retry
        said = "waits by a function of the queue" if own.queue_waits and not policy else retry_waits(waits)
        rows.append(("Attempts", f"{retry.attempts}, {said}" if retry.attempts > 1 else "1"))
    limit = own.timeout if own.timeout is not None or policy is None else policy.timeout
    if limit is not None or policy is not None:
        rows.append(("Time-out", "none" if limit is None else f"{_seconds(limit)} an attempt"))
    rows.append(("Priority", str(record.priority) if record.priority else "none"))
    if own.lifo:
        rows.append(("Order", "before jobs that were added earlier"))
    if own.delay:
        rows.append(("Delay at first", _seconds(own.delay)))
    if own.ttl is not None:
        rows.append(("Must start within", _seconds(own.ttl)))
    if own.completed is not None:
        rows.append(("Kept when completed", _kept(own.completed.count, own.completed.age)))
    if own.failed is not None:
        rows.append(("Kept when failed", _kept(own.failed.count, own.failed.age)))
    if own.keep_logs is not None:
        rows.append(("Log rows kept", f"{own.keep_logs:,}"))
    if own.webhook is not None:
        rows.append(("Tells", "a webhook: " + ", ".join(own.webhook.events)))
    return [OptionRow(name, says) for name, says in rows]


def retry_waits(retry: Retry) -> str:
    """How long its attempts wait for each other, in words."""
    if retry.wait is not None:
        return "waits by a function of the queue"
    if retry.delays:
        return "waits " + ", ".join(map(_seconds, retry.delays))
    if not retry.delay:
        return "without waits"
    return f"waits from {_seconds(retry.delay)}, doubling" if retry.backoff == "exponential" else (
        f"waits of {_seconds(retry.delay)}"
    )  # fmt: skip


def _kept(count: int | None, age: float | None) -> str:
    if count == 0:
        return "not"
    parts = [f"{count:,} jobs"] if count is not None else []
    parts += [_seconds(age)] if age is not None else []
    return " or ".join(parts) or "for ever"


def _seconds(value: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if value >= size and value % size == 0:
            return f"{value / size:g} {unit}"
    return f"{value:g} s"
