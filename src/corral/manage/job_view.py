"""One job with all that is around it: read, and as the management API shows it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from corral.breaker import read_hold
from corral.bullmq import attempts, breaking, placing, reader
from corral.bullmq.cancel import pending as asked_to_end
from corral.bullmq.codec import JobRecord, decode_options
from corral.bullmq.families import child_key
from corral.bullmq.grouping import LOCK
from corral.bullmq.placing import Notes, Place
from corral.context import Wait
from corral.errors import JobNotFound
from corral.family import ChildKey, FlowNode
from corral.manage.job_rows import (
    OptionRow,
    Policy,
    breaker_of,
    job_row,
    number_of,
    options_in_words,
    stored,
)
from corral.manage.job_runs import JobRun, runs_of
from corral.manage.masking import holds_marks, is_json, masked
from corral.observe.stand import read_workers
from corral.queue import Queue
from corral.sealing import START_BYTES as SEALED
from corral.waiting import Waiting, why

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class JobName(msgspec.Struct, frozen=True, rename="camel"):
    """Names a job over all queues."""

    queue: str
    id: str


class ChildRow(msgspec.Struct, frozen=True, rename="camel"):
    """A child. status: its state, or `gone`."""

    queue: str
    id: str
    name: str
    status: str


class ChildrenRow(msgspec.Struct, frozen=True, rename="camel"):
    """How many children a job has, and some of them, the failed ones first."""

    pending: int
    completed: int
    ignored: int
    failed: int
    some: list[ChildRow]


class WhyRow(msgspec.Struct, frozen=True, rename="camel"):
    """Why a job is where it is: one sentence, and one that supports it or nothing.

    until: when that is over, where it is known. breaker: the one that holds it.
    """

    cause: str
    says: str
    more: str
    until: float | None
    breaker: str | None


class SignalRow(msgspec.Struct, frozen=True, rename="camel"):
    """The durable wait that the last run left the job for, or the next finds ended. until: epoch seconds."""

    name: str
    until: float


class LockRow(msgspec.Struct, frozen=True, rename="camel"):
    """Who holds a running job, and seconds until it is free for others unless that one renews it."""

    holder: str
    left: float


class JobView(msgspec.Struct, frozen=True, rename="camel"):
    """All of a job. Times are in epoch seconds; `at` is now.

    redacted: data, result, checkpoint, failedReason and traces are null, whatever they are.
    attempts: how many it may have. runs: all that are known of, the newest at the end. hidden: some fields
    stand as masks, which `reveal` lifts. data_form: json, text (no JSON), encrypted (and no key here).
    timeout: seconds that an attempt may take. cancelling: why its running attempt is to end.
    checkpointAt: when it was last written; null of one by an earlier version of Corral.
    delay: what it last was to wait, seconds. heldSince: since when the breaker `held` holds it.
    """

    at: float
    id: str
    queue: str
    name: str
    status: str
    priority: int
    attempts_made: int
    attempts_started: int
    attempts: int
    stalled: int
    enqueued_at: float | None
    started_at: float | None
    finished_at: float | None
    due: float | None
    delay: float
    processed_by: str | None
    cancelled: bool
    cancelling: str | None
    held: str | None
    held_since: float | None
    redacted: bool
    data: Any
    data_bytes: int
    data_form: Literal["json", "text", "encrypted"]
    hidden: bool
    result: Any
    has_result: bool
    progress: Any
    checkpoint: Any
    checkpoint_at: float | None
    error_type: str
    failed_reason: str | None
    runs: list[JobRun]
    options: list[OptionRow]
    parent: JobName | None
    children: ChildrenRow
    schedule: str | None
    dedup: str | None
    group: str | None
    signal: SignalRow | None
    lock: LockRow | None
    timeout: float | None
    trace_id: str | None
    log_rows: int
    why: WhyRow


class Found(msgspec.Struct, frozen=True):
    """A job and what is around it."""

    record: JobRecord
    status: str
    notes: Notes
    place: Place
    why: WhyRow
    held: str | None
    held_since: float | None


async def look(queue: Queue, job_id: str) -> Found:
    """Read a job and its surroundings. Some five round trips. Raises JobNotFound."""
    client, keys = queue.client(), queue.keys()
    with queue.redis_errors():
        (found,) = await reader.find(client, [keys], job_id)
        if found is None:
            raise JobNotFound(
                f"Job {job_id[:100]} is not in {queue.name!r}. It never was, or its retention has passed."
            )
        record, state = found
        status = "waiting" if state == "prioritized" else state
        notes, place, workers = await asyncio.gather(
            placing.notes(client, keys, job_id),
            placing.place(client, keys, job_id, record.priority),
            read_workers(client, keys.prefix),
        )
        held = breaker_of(status, notes.held)
        breaker = (await breaking.look(client, keys.prefix, [held]))[0].breaker if held else None
        group = (notes.group or b"").decode(errors="replace")
        group_paused, group_active = await placing.group_place(client, keys, group) if group else (False, 0)
    limits = queue.rate_limit
    most = place.rate_most or (limits.jobs if limits else 0)
    limited_for = place.rate_left if most and place.rate_used >= most else 0.0
    serving = [worker for worker in workers if queue.name in worker.queues and not worker.quiet]
    told = why(
        Waiting(
            status=status,
            name=record.name,
            queue=queue.name,
            attempts_made=record.attempts_made,
            priority=record.priority,
            due=place.due,
            ahead=place.ahead,
            ahead_alike=place.ahead_alike,
            paused=place.paused,
            limited_for=limited_for,
            limited_until=place.now + limited_for if limited_for else None,
            concurrency=place.concurrency,
            active=place.active,
            breaker=held or "",
            breaker_open=breaker is not None and breaker.is_open,
            breaker_reason=breaker.reason if breaker else "",
            next_probe=breaker.next_probe if breaker and breaker.cause != "operator" else None,
            signal=_signal(notes.wait),
            unknown_name=bool(notes.unknown_since),
            pending_children=place.children[0],
            group=group,
            group_paused=group_paused,
            group_active=group_active,
            workers=len(serving),
            slots=sum(worker.places.get(queue.name, (worker.slots, 0))[0] for worker in serving),
            busy=sum(worker.places.get(queue.name, (0, worker.busy))[1] for worker in serving),
        )
    )
    hold = read_hold(notes.held) if held else None
    return Found(
        record, status, notes, place,
        WhyRow(told.cause, told.says, told.more, told.until, held),
        held, hold.since if hold else None,
    )  # fmt: skip


def _signal(wait: bytes | None) -> str:
    found = _wait(wait)
    return found.name if found else ""


def _wait(raw: bytes | None) -> SignalRow | None:
    try:
        wait = msgspec.json.decode(raw, type=Wait) if raw else None
    except msgspec.DecodeError:
        return None
    return None if wait is None else SignalRow(wait.signal, wait.until)


def view(
    queue: Queue, found: Found, children: Sequence[FlowNode], policy: Policy | None, *, payloads: bool
) -> JobView:
    """policy: None where the code of the queue is not known here."""
    record, notes, place = found.record, found.notes, found.place
    row = job_row(
        record, found.status, attempts=queue.retry.attempts, due=place.due, held=notes.held, payloads=payloads
    )
    pending, completed, ignored, failed = place.children
    own = decode_options(record.options)
    to_end = asked_to_end(notes.cancel)
    data = stored(record.data) if payloads else None
    result = stored(record.returnvalue) if payloads else None
    checkpoint = stored(notes.checkpoint) if payloads else None
    parent = child_key(queue.keys().prefix, notes.parent) if notes.parent else None
    return JobView(
        at=place.now,
        id=record.id,
        queue=queue.name,
        name=record.name,
        status=found.status,
        priority=record.priority,
        attempts_made=record.attempts_made,
        attempts_started=record.attempts_started,
        attempts=row.attempts,
        stalled=record.stalled_count,
        enqueued_at=record.enqueued_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
        due=place.due,
        delay=record.delay,
        processed_by=record.processed_by,
        cancelled=record.cancelled,
        cancelling=to_end if to_end is None or payloads else "",
        held=found.held,
        held_since=found.held_since,
        redacted=not payloads,
        data=data,
        data_bytes=len(record.data),
        data_form=_form(record.data),
        hidden=any(holds_marks(value) for value in (data, result, checkpoint)),
        result=result,
        has_result=record.returnvalue is not None,
        progress=masked(record.progress) if payloads else number_of(record.progress),
        checkpoint=checkpoint,
        checkpoint_at=_checkpoint_at(notes),
        error_type=row.error_type,
        failed_reason=record.failed_reason if payloads else None,
        runs=runs_of(
            record,
            found.status,
            attempts.read(notes.runs),
            cancelled=record.cancelled,
            payloads=payloads,
        ),
        options=options_in_words(record, policy),
        parent=JobName(*parent) if isinstance(parent, ChildKey) else None,
        children=ChildrenRow(
            pending, completed, ignored, failed,
            [ChildRow(child.key.queue, child.key.id, child.name, child.status) for child in children],
        ),
        schedule=_text(notes.schedule),
        dedup=_text(notes.dedup) if payloads else None,
        group=_group(notes.group),
        signal=_wait(notes.wait) if found.status == "delayed" else None,
        lock=None if place.lock is None else LockRow(place.lock, place.lock_left),
        timeout=own.timeout if own.timeout is not None or policy is None else policy.timeout,
        trace_id=_trace_id(own.trace),
        log_rows=place.log_rows,
        why=found.why,
    )  # fmt: skip


def _group(raw: bytes | None) -> str | None:
    return raw.decode(errors="replace").removeprefix(LOCK) if raw else None


def _text(raw: bytes | None) -> str | None:
    return raw.decode(errors="replace") if raw else None


def _checkpoint_at(notes: Notes) -> float | None:
    text = notes.checkpointed
    return int(text) / 1000 if notes.checkpoint and text and text.isdigit() and len(text) < 16 else None


def _form(data: bytes) -> Literal["json", "text", "encrypted"]:
    if data.startswith(SEALED):
        return "encrypted"
    return "json" if is_json(data) else "text"


def _trace_id(trace: str | None) -> str | None:
    """Of what the producer's tracing wrote, a W3C traceparent within."""
    found = _TRACEPARENT.search(trace or "")
    return found[1] if found else None
