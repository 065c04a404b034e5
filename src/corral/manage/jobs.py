"""GET /api/v1/queues/{queue}/jobs …: a search, one job whole, its logs, and why it waits.

Who may not see payloads gets every job without what producers and handlers wrote: see `job_rows`. They cannot
search by it either, as every answer would tell a little of it.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.api.problems import Problem, Refused
from corral.breaker import read_hold
from corral.browse import STATES, SearchPage
from corral.bullmq import breaking, placing, reader
from corral.bullmq.codec import JobRecord
from corral.bullmq.families import child_key
from corral.bullmq.grouping import LOCK
from corral.bullmq.placing import Notes, Place
from corral.context import Wait
from corral.data import decode_json
from corral.errors import InvalidData, InvalidInput, JobNotFound
from corral.family import ChildKey, ChildrenPage
from corral.job import Job
from corral.manage.job_rows import (
    Failure,
    JobRow,
    OptionRow,
    Policy,
    breaker_of,
    failures,
    job_row,
    number_of,
    options_in_words,
    stored,
)
from corral.manage.service import Actor, Management, asks_for
from corral.observe.stand import read_workers
from corral.queue import Queue
from corral.waiting import Waiting, why

#: Jobs that one request looks at: it answers in time, and the page asks for more with the cursor.
SCAN = 2_000

#: The same where their data has to be read, which may be large.
SCAN_DATA = 500

#: Children of a job that its page lists.
CHILDREN = 20

#: Seconds for a search or a page of large jobs.
SEARCH_SECONDS = 3.0

_PAYLOADS_NEEDED = Problem(
    403,
    "no-payloads",
    "Not allowed",
    "Searching by error or data shows what jobs hold: that asks for the right to see payloads.",
)


class JobPage(msgspec.Struct, frozen=True, rename="camel"):
    """What a search found after `searched` of `total` jobs. `cursor`: to go on; null: all were looked at.

    `at`: the time by which ages count, epoch seconds. `redacted`: the rows come without payloads.
    """

    at: float
    jobs: list[JobRow]
    searched: int
    total: int
    cursor: str | None
    redacted: bool


class JobName(msgspec.Struct, frozen=True, rename="camel"):
    """Names a job over all queues."""

    queue: str
    id: str


class ChildRow(msgspec.Struct, frozen=True, rename="camel"):
    """A child as its parent sees it: completed, ignored, failed or pending."""

    queue: str
    id: str
    state: str


class ChildrenRow(msgspec.Struct, frozen=True, rename="camel"):
    """How many children a job has, and some of them."""

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


class JobView(msgspec.Struct, frozen=True, rename="camel"):
    """All of a job. Times are in epoch seconds; `at` is now.

    redacted: data, result, checkpoint, failedReason and traces are null, whatever they are.
    attempts: how many it may have. failures: its last ones, the newest at the end.
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
    held: str | None
    held_since: float | None
    redacted: bool
    data: Any
    data_bytes: int
    result: Any
    has_result: bool
    progress: Any
    checkpoint: Any
    error_type: str
    failed_reason: str | None
    failures: list[Failure]
    options: list[OptionRow]
    parent: JobName | None
    children: ChildrenRow
    schedule: str | None
    dedup: str | None
    group: str | None
    log_rows: int
    why: WhyRow


class LogRows(msgspec.Struct, frozen=True, rename="camel"):
    """Rows of a job's log from number `start` on, of `total`. Without payloads there are none."""

    rows: list[str]
    start: int
    total: int
    redacted: bool


@get("/queues/{queue:str}/jobs", guards=[asks_for(Permission.WATCH)], tags=["jobs"])
async def search_jobs(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    of_states: Annotated[str, QueryParameter(name="state")] = "",
    name: FromQuery[str | None] = None,
    job_id: Annotated[str | None, QueryParameter(name="id")] = None,
    error: FromQuery[str | None] = None,
    after: FromQuery[float | None] = None,
    before: FromQuery[float | None] = None,
    where: FromQuery[str | None] = None,
    oldest: FromQuery[bool] = False,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> JobPage:
    """Jobs of the states (with commas between them; all without one) that fit all of the rest.

    name: the whole of it. id: a part of it. error: a part of the reason. after, before: when it was added,
    epoch seconds. where: `{"path.into.data": value}`. oldest: from the other end.

    A request looks at some 2,000 jobs and returns what fits, which may be nothing: go on with the cursor. An
    id that is complete is found at once. A few round trips for each 250 jobs.
    """
    payloads = Permission.READ_PAYLOADS in actor.permissions
    if not payloads and (error is not None or where is not None):
        raise Refused(_PAYLOADS_NEEDED)
    chosen = management.queue(queue)
    states = [one for one in of_states.split(",") if one] or list(STATES)
    async with answering(SEARCH_SECONDS):
        found = None
        if job_id and cursor is None and (name, error, after, before, where) == (None,) * 5:
            found = await _by_id(chosen, job_id, states)
        if found is None:
            found = await chosen.browse.search(
                states=states,
                name=name,
                id=job_id,
                error=error,
                added_after=after,
                added_before=before,
                where=_paths(where),
                limit=limit,
                scan=SCAN if where is None else SCAN_DATA,
                newest_first=not oldest,
                cursor=cursor,
            )
        rows = await _rows(chosen, found.jobs, payloads=payloads)
        now = await chosen_now(chosen)
    return JobPage(now, rows, found.searched, found.total, found.cursor, not payloads)


async def _by_id(queue: Queue, job_id: str, states: list[str]) -> SearchPage | None:
    job = await queue.get(job_id)
    if job is None or job.status not in states:
        return None
    return SearchPage([job], 1, 1, None)


def _paths(where: str | None) -> dict[str, Any]:
    if where is None:
        return {}
    try:
        read = decode_json(where.encode())
    except InvalidData:
        read = None
    if not isinstance(read, dict):
        raise InvalidInput('where is a JSON object of paths and values, as {"user.id": 7}.')
    return read


async def _rows(queue: Queue, jobs: list[Job], *, payloads: bool) -> list[JobRow]:
    delayed = [job.id for job in jobs if job.status == "delayed"]
    with queue.redis_errors():
        found = await placing.due_and_held(queue.client(), queue.keys(), delayed)
    late = dict(zip(delayed, found, strict=True))
    rows = []
    for job in jobs:
        if job.record is None:  # only right after an add
            continue
        due, held = late.get(job.id, (None, None))
        rows.append(
            job_row(
                job.record,
                str(job.status),
                attempts=queue.retry.attempts,
                due=due,
                held=held,
                payloads=payloads,
            )
        )
    return rows


async def chosen_now(queue: Queue) -> float:
    """The time of the queue's server. One round trip."""
    seconds, micros = await queue.client().time()
    return float(seconds + micros / 1_000_000)


@get("/queues/{queue:str}/jobs/{job_id:str}", guards=[asks_for(Permission.WATCH)], tags=["jobs"])
async def read_job(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
) -> JobView:
    """All of a job. Some six round trips."""
    chosen = management.queue(queue)
    async with answering(SEARCH_SECONDS):
        found = await _look(chosen, job_id)
        children = await chosen.children(job_id, count=CHILDREN) if sum(found.place.children) else None
    # Of a queue whose code is not known here, Queue(name) says nothing that its workers hold to.
    policy = Policy(chosen.retry, chosen.timeout) if queue in management.known.declared else None
    return _view(chosen, found, children, policy, payloads=Permission.READ_PAYLOADS in actor.permissions)


@get("/queues/{queue:str}/jobs/{job_id:str}/why", guards=[asks_for(Permission.WATCH)], tags=["jobs"])
async def read_why(
    management: NamedDependency[Management], queue: FromPath[str], job_id: FromPath[str]
) -> WhyRow:
    """Why a job is where it is, in one sentence. Some six round trips."""
    async with answering():
        return (await _look(management.queue(queue), job_id)).why


@get("/queues/{queue:str}/jobs/{job_id:str}/logs", guards=[asks_for(Permission.WATCH)], tags=["jobs"])
async def read_logs(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
    start: FromQuery[int] = 0,
    count: Annotated[int, QueryParameter(ge=1, le=1_000)] = 500,
) -> LogRows:
    """Rows of a job's log, oldest first; a negative `start` counts from the end. One round trip."""
    chosen = management.queue(queue)
    async with answering():
        page = await chosen.browse.logs(job_id, start=start, count=count)
    if Permission.READ_PAYLOADS not in actor.permissions:
        return LogRows([], page.start, page.total, redacted=True)
    return LogRows(page.rows, page.start, page.total, redacted=False)


class _Found(msgspec.Struct, frozen=True):
    """A job and what is around it."""

    record: JobRecord
    status: str
    notes: Notes
    place: Place
    why: WhyRow
    held: str | None
    held_since: float | None


async def _look(queue: Queue, job_id: str) -> _Found:
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
    return _Found(
        record, status, notes, place,
        WhyRow(told.cause, told.says, told.more, told.until, held),
        held, hold.since if hold else None,
    )  # fmt: skip


def _signal(wait: bytes | None) -> str:
    try:
        return msgspec.json.decode(wait, type=Wait).signal if wait else ""
    except msgspec.DecodeError:
        return ""


def _view(
    queue: Queue, found: _Found, children: ChildrenPage | None, policy: Policy | None, *, payloads: bool
) -> JobView:
    record, notes, place = found.record, found.notes, found.place
    row = job_row(
        record, found.status, attempts=queue.retry.attempts, due=place.due, held=notes.held, payloads=payloads
    )
    pending, completed, ignored, failed = place.children
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
        held=found.held,
        held_since=found.held_since,
        redacted=not payloads,
        data=stored(record.data) if payloads else None,
        data_bytes=len(record.data),
        result=stored(record.returnvalue) if payloads else None,
        has_result=record.returnvalue is not None,
        progress=record.progress if payloads else number_of(record.progress),
        checkpoint=stored(notes.checkpoint) if payloads else None,
        error_type=row.error_type,
        failed_reason=record.failed_reason if payloads else None,
        failures=failures(record.stacktrace, payloads=payloads),
        options=options_in_words(record, policy),
        parent=JobName(*parent) if isinstance(parent, ChildKey) else None,
        children=ChildrenRow(
            pending, completed, ignored, failed,
            [ChildRow(c.key.queue, c.key.id, str(c.state)) for c in children.children] if children else [],
        ),
        schedule=_text(notes.schedule),
        dedup=_text(notes.dedup) if payloads else None,
        group=_group(notes.group),
        log_rows=place.log_rows,
        why=found.why,
    )  # fmt: skip


def _group(raw: bytes | None) -> str | None:
    return raw.decode(errors="replace").removeprefix(LOCK) if raw else None


def _text(raw: bytes | None) -> str | None:
    return raw.decode(errors="replace") if raw else None


#: All of them, for `routes`.
JOB_HANDLERS = [search_jobs, read_job, read_why, read_logs]
