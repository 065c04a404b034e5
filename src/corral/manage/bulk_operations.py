"""/api/v1/queues/{queue}/jobs/operations …: all jobs of a state that fit a filter, counted first, then done.

An operation answers 202 at once. This process carries it on, and so does any worker of the queue. Retries and
removals of failed jobs are operations of the dead letter desk, which has a bin: here they look the same.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from corral.api.auth import Permission
from corral.api.bodies import Seconds
from corral.api.lookup import answering
from corral.bulk.desk import BulkDesk
from corral.bulk.operations import BulkOperation, Kind, OperationState
from corral.dead import Filter, Target
from corral.deadletters import operations as dead
from corral.errors import OperationNotFound
from corral.manage.dead import check_may_ask
from corral.manage.dead_carriers import carriers_of
from corral.manage.job_changes import Priority, Reason
from corral.manage.job_rows import JobRow
from corral.manage.jobs import rows_of
from corral.manage.service import Actor, Management, asks_for
from corral.queue import Queue

#: Seconds for one call of a dry run.
LONG_SECONDS = 10.0

State = Literal["waiting", "active", "delayed", "waiting-children", "completed", "failed"]

WATCH, OPERATE = [asks_for(Permission.WATCH)], [asks_for(Permission.OPERATE)]
TAGS = ["jobs"]


class AskedCount(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which jobs: of a state, those that fit the filter; without one: all. cursor: to count on."""

    state: State
    filter: Filter | None = None
    cursor: str | None = None


class AskedOperation(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """priority and delay (seconds from now) go with the kinds of these names. rate: jobs a second."""

    kind: Kind
    state: State
    filter: Filter | None = None
    priority: Priority = 0
    delay: Seconds = 0
    reason: Reason = ""
    rate: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None


class BulkPreviewView(msgspec.Struct, frozen=True, rename="camel"):
    """The dry run: `count` jobs fit after `searched` of `total`. With a cursor: ask on, add the counts."""

    count: int
    sample: list[JobRow]
    searched: int
    total: int
    cursor: str | None


class JobsOperationView(msgspec.Struct, frozen=True, rename="camel"):
    """An operation on many jobs. Times are epoch seconds.

    source: the state its jobs were in. moved: jobs it was done to. gone: jobs that stayed as they were; `why`
    counts them by what they were (running, waiting, delayed, finished, removed, scheduled, refused).
    undoUntil: until when what it removed can be brought back; null: it cannot.
    """

    queue: str
    id: str
    kind: Kind
    source: str
    state: OperationState
    about: str
    by: str
    value: float
    total: int
    selected: bool
    moved: int
    gone: int
    why: dict[str, int]
    rate: float | None
    created: float
    ended: float | None
    undo_until: float | None = None

    @classmethod
    def of(cls, one: BulkOperation) -> JobsOperationView:
        plain = {n: getattr(one, n) for n in cls.__struct_fields__ if n not in ("undo_until", "why")}
        return cls(**plain, why=dict(one.why))

    @classmethod
    def of_dead(cls, one: dead.Operation) -> JobsOperationView:
        return cls(
            queue=one.queue, id=one.id, kind="retry" if one.kind == "retry" else "remove", source="failed",
            state=one.state, about=one.about, by=one.by, value=0, total=one.total, selected=one.selected,
            moved=one.moved, gone=one.gone, why={}, rate=one.rate, created=one.created, ended=one.ended,
            undo_until=one.undo_until,
        )  # fmt: skip


@post("/queues/{queue:str}/jobs/operations/preview", guards=WATCH, tags=TAGS, status_code=200)
async def preview_jobs_operation(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[AskedCount],
) -> BulkPreviewView:
    """How many jobs an operation would be about, and some of them. Looks at some 5,000 jobs."""
    check_may_ask(actor, data.filter)
    wanted = data.filter or Filter()
    chosen = management.queue(queue)
    async with answering(LONG_SECONDS):
        found = await BulkDesk(chosen).preview(data.state, wanted, cursor=data.cursor)
        sample = await rows_of(chosen, found.sample, payloads=actor.sees_payloads)
    return BulkPreviewView(found.count, sample, found.searched, found.total, found.cursor)


@post("/queues/{queue:str}/jobs/operations", guards=OPERATE, tags=TAGS, status_code=202)
async def begin_jobs_operation(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[AskedOperation],
) -> JobsOperationView:
    """Begin to retry, promote, remove, cancel or change all jobs of a state that fit."""
    check_may_ask(actor, data.filter)
    wanted = data.filter or Filter()
    chosen = management.queue(queue)
    carriers = carriers_of(request.app)
    async with answering():
        if data.state == "failed" and data.kind in ("retry", "remove"):
            begin = chosen.dead.retry_many if data.kind == "retry" else chosen.dead.discard_many
            begun = await begin(Target(filter=wanted), rate=data.rate, actor=actor.name)
            carriers.carry(chosen)
            return JobsOperationView.of_dead(begun)
        value = data.priority if data.kind == "priority" else data.delay
        other = await BulkDesk(chosen).begin(
            data.kind,
            data.state,
            wanted,
            value=value,
            reason=data.reason,
            rate=data.rate,
            actor=actor.name,
        )
    carriers.carry_bulk(chosen)
    return JobsOperationView.of(other)


@get("/queues/{queue:str}/jobs/operations", guards=WATCH, tags=TAGS)
async def list_jobs_operations(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    queue: FromPath[str],
    count: Annotated[int, QueryParameter(ge=1, le=200)] = 20,
) -> list[JobsOperationView]:
    """The operations on jobs of a queue that began last, newest first, those on dead letters among them."""
    chosen = management.queue(queue)
    async with answering():
        own, letters = await asyncio.gather(BulkDesk(chosen).operations(count), chosen.dead.operations(count))
    # One that lost its carrier (this service was restarted) goes on as soon as somebody looks.
    if any(not one.is_over for one in own):
        carriers_of(request.app).carry_bulk(chosen)
    if any(not one.is_over for one in letters):
        carriers_of(request.app).carry(chosen)
    all_of = [JobsOperationView.of(one) for one in own]
    all_of += [JobsOperationView.of_dead(one) for one in letters if one.kind != "undo"]
    return sorted(all_of, key=lambda one: -one.created)[:count]


@get("/queues/{queue:str}/jobs/operations/{operation:str}", guards=WATCH, tags=TAGS)
async def read_jobs_operation(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    queue: FromPath[str],
    operation: FromPath[str],
) -> JobsOperationView:
    """How an operation stands."""
    chosen = management.queue(queue)
    async with answering():
        found = await _found(chosen, operation)
    if found.ended is None:
        carriers = carriers_of(request.app)
        (carriers.carry if found.source == "failed" else carriers.carry_bulk)(chosen)
    return found


@post("/queues/{queue:str}/jobs/operations/{operation:str}/stop", guards=OPERATE, tags=TAGS, status_code=200)
async def stop_jobs_operation(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    operation: FromPath[str],
) -> JobsOperationView:
    """Let an operation make no further step. What was done stays done."""
    chosen = management.queue(queue)
    async with answering():
        if (await _found(chosen, operation)).source == "failed":
            return JobsOperationView.of_dead(await chosen.dead.stop(operation, actor=actor.name))
        return JobsOperationView.of(await BulkDesk(chosen).stop(operation, actor=actor.name))


async def _found(queue: Queue, operation: str) -> JobsOperationView:
    """Of the jobs, else of the dead letters. Raises DeadLetterNotFound."""
    try:
        return JobsOperationView.of(await BulkDesk(queue).operation(operation))
    except OperationNotFound:
        return JobsOperationView.of_dead(await queue.dead.operation(operation))


#: All of them, for `routes`.
BULK_HANDLERS = [
    preview_jobs_operation,
    begin_jobs_operation,
    list_jobs_operations,
    read_jobs_operation,
    stop_jobs_operation,
]
