"""Changing dead letters over HTTP: one by one, and operations on many. All of it is in the audit log.

What concerns many jobs answers 202 with an operation at once. This process carries it on, and so does any
worker of the queue: see `corral.dead`.
"""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from corral.api.lookup import answering
from corral.manage.dead import LONG_SECONDS, OPERATE, SCAN, TAGS, WATCH, check_may_ask
from corral.manage.dead_carriers import carriers_of
from corral.manage.dead_views import (
    Asked,
    AskedPreview,
    AskedPurge,
    Edited,
    OperationView,
    PreviewView,
    Purged,
)
from corral.manage.service import Actor, Management
from corral.queue import Queue


@post("/queues/{queue:str}/dead/jobs/{job_id:str}/retry", guards=OPERATE, tags=TAGS, status_code=204)
async def retry_dead_job(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
) -> None:
    """Run a dead letter again, as if new."""
    async with answering():
        await management.queue(queue).dead.retry(job_id, actor=actor.name)


@put("/queues/{queue:str}/dead/jobs/{job_id:str}/data", guards=OPERATE, tags=TAGS, status_code=204)
async def edit_dead_job(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
    data: JSONBody[Edited],
) -> None:
    """Give a dead letter other data, and run it again. What it had at first is kept for 7 days."""
    async with answering():
        await management.queue(queue).dead.edit(job_id, data.data, retry=data.retry, actor=actor.name)


@post("/queues/{queue:str}/dead/jobs/{job_id:str}/discard", guards=OPERATE, tags=TAGS, status_code=200)
async def discard_dead_job(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
) -> OperationView:
    """Discard one dead letter; undo of the operation brings it back for ten minutes."""
    async with answering(LONG_SECONDS):
        return OperationView.of(await management.queue(queue).dead.discard(job_id, actor=actor.name))


@post("/queues/{queue:str}/dead/preview", guards=WATCH, tags=TAGS, status_code=200)
async def preview_dead_operation(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[AskedPreview],
) -> PreviewView:
    """The dry run of an operation: how many jobs it would be about, and some of them."""
    check_may_ask(actor, data.filter)
    async with answering(LONG_SECONDS):
        found = await management.queue(queue).dead.preview(data.target(), scan=SCAN, cursor=data.cursor)
    return PreviewView.of(found)


@post("/queues/{queue:str}/dead/retry", guards=OPERATE, tags=TAGS, status_code=202)
async def retry_dead_jobs(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[Asked],
) -> OperationView:
    """Begin to run a group, what fits a filter, or certain jobs again."""
    asked = management.queue(queue)
    async with answering():
        begun = await asked.dead.retry_many(
            data.target(), rate=data.rate, breaker=data.breaker, actor=actor.name
        )
    carriers_of(request.app).carry(asked)
    return OperationView.of(begun)


@post("/queues/{queue:str}/dead/discard", guards=OPERATE, tags=TAGS, status_code=202)
async def discard_dead_jobs(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[Asked],
) -> OperationView:
    """Begin to discard a group, what fits a filter, or certain jobs."""
    asked = management.queue(queue)
    async with answering():
        begun = await asked.dead.discard_many(
            data.target(), rate=data.rate, breaker=data.breaker, actor=actor.name
        )
    carriers_of(request.app).carry(asked)
    return OperationView.of(begun)


@post("/queues/{queue:str}/dead/purge", guards=OPERATE, tags=TAGS, status_code=200)
async def purge_dead_jobs(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[AskedPurge],
) -> Purged:
    """Remove old dead letters for good, or count them first."""
    desk = management.queue(queue).dead
    async with answering(LONG_SECONDS):
        due = await desk.purge(older_than=data.older_than, dry_run=True)
        if data.dry_run:
            return Purged(due, True, 0)
        removed = await desk.purge(older_than=data.older_than, limit=data.limit, actor=actor.name)
    return Purged(removed, False, max(0, due - removed))


@get("/queues/{queue:str}/dead/operations", guards=WATCH, tags=TAGS)
async def dead_operations(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    queue: FromPath[str],
    count: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> list[OperationView]:
    """The operations that began last, newest first."""
    asked = management.queue(queue)
    async with answering():
        found = await asked.dead.operations(count)
    _see_to(request, asked, any(not operation.is_over for operation in found))
    return [OperationView.of(operation) for operation in found]


@get("/queues/{queue:str}/dead/operations/{operation:str}", guards=WATCH, tags=TAGS)
async def dead_operation(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    queue: FromPath[str],
    operation: FromPath[str],
) -> OperationView:
    """How an operation stands."""
    asked = management.queue(queue)
    async with answering():
        found = await asked.dead.operation(operation)
    _see_to(request, asked, not found.is_over)
    return OperationView.of(found)


@post("/queues/{queue:str}/dead/operations/{operation:str}/stop", guards=OPERATE, tags=TAGS, status_code=200)
async def stop_dead_operation(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    operation: FromPath[str],
) -> OperationView:
    """Let an operation make no further step. What was done stays done."""
    async with answering():
        return OperationView.of(await management.queue(queue).dead.stop(operation, actor=actor.name))


@post("/queues/{queue:str}/dead/operations/{operation:str}/undo", guards=OPERATE, tags=TAGS, status_code=202)
async def undo_dead_operation(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    operation: FromPath[str],
) -> OperationView:
    """Bring back what an operation has discarded within the last ten minutes."""
    asked = management.queue(queue)
    async with answering():
        begun = await asked.dead.undo(operation, actor=actor.name)
    carriers_of(request.app).carry(asked)
    return OperationView.of(begun)


def _see_to(request: Request[Any, Any, Any], queue: Queue, some_live: bool) -> None:
    """An operation that lost its carrier (this service was restarted) goes on as soon as somebody looks."""
    if some_live:
        carriers_of(request.app).carry(queue)


DEAD_OPERATION_HANDLERS = [
    dead_operation,
    dead_operations,
    discard_dead_job,
    discard_dead_jobs,
    edit_dead_job,
    preview_dead_operation,
    purge_dead_jobs,
    retry_dead_job,
    retry_dead_jobs,
    stop_dead_operation,
    undo_dead_operation,
]
