"""GET /api/v1/flows, …/jobs/{id}/flow, …/children, and what an operator does to the children of a job.

Every change is one entry of the audit log, with ids and counts, never data.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.bullmq.clock import server_seconds
from corral.errors import InvalidInput, JobNotFound
from corral.family import ChildKey, FlowNode, StuckParent, WaitingPage
from corral.manage.flow_rows import FlowNodeRow, WaitingRow, node_row, waiting_keys, waiting_row, walked
from corral.manage.job_view import JobName
from corral.manage.queues import known_queues
from corral.manage.service import Actor, Management, asks_for

#: Waiting parents that one request looks at over all queues, and of each queue at least.
LOOKED, LOOKED_EACH = 100, 5

#: Jobs of a flow that one answer shows.
MAX_NODES = 200

#: Of these, parents that are judged: stuck or not.
MAX_JUDGED = 60

SECONDS = 3.0


class FlowList(msgspec.Struct, frozen=True, rename="camel"):
    """Jobs that wait for children: of each queue those that wait longest. `at`: epoch seconds.

    searched: so many of `total` were looked at, by this request and those before it. cursor: to go on; null:
    all were looked at. queues: those that have such jobs, with how many.
    """

    at: float
    flows: list[WaitingRow]
    searched: int
    total: int
    cursor: str | None
    queues: dict[str, int]
    redacted: bool


class FlowView(msgspec.Struct, frozen=True, rename="camel"):
    """The flow around `job`, from its root down: parents before their children. `at`: epoch seconds.

    cut: there are more jobs than are shown here; `children` of a node has all of its own.
    """

    at: float
    root: JobName
    job: JobName
    nodes: list[FlowNodeRow]
    cut: bool
    redacted: bool


class ChildrenView(msgspec.Struct, frozen=True, rename="camel"):
    """Some children of a job. `cursor`: for the next ones; null: these were the last."""

    children: list[FlowNodeRow]
    cursor: str | None


class ReleaseOutcome(msgspec.Struct, frozen=True, rename="camel"):
    """released: it runs. Else other children are pending, and it runs when they are through."""

    released: bool


class RetryOutcome(msgspec.Struct, frozen=True, rename="camel"):
    """retried: children that run again. parents: failed jobs that wait for them again. left: failed children
    that were too many for one call."""

    retried: int
    parents: int
    left: int


@get("/flows", guards=[asks_for(Permission.WATCH)], tags=["flows"])
async def list_flows(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
) -> FlowList:
    """Jobs that wait for children, over all queues or of one, with what each waits for, and whether in vain.

    A request looks at some 100, of each queue those that wait longest: go on with the cursor. Some ten round
    trips for each queue that has any, the queues at the same time.
    """
    start = _position(cursor)
    payloads = actor.sees_payloads
    chosen = [management.queue(queue)] if queue else await known_queues(request, management)
    async with answering(SECONDS):
        totals = await asyncio.gather(*(one.count_waiting_parents() for one in chosen))
        having = [(one, total) for one, total in zip(chosen, totals, strict=True) if total]
        count = max(LOOKED_EACH, LOOKED // max(1, len(having)))
        pages: list[WaitingPage] = await asyncio.gather(
            *(one.waiting_parents(start, count) for one, total in having if total > start)
        )
        now = await server_seconds(management.client)
    total = sum(total for _, total in having)
    end = start + count
    return FlowList(
        at=now,
        flows=[
            waiting_row(parent, management.queue(parent.node.key.queue).sealing, payloads=payloads)
            for page in pages
            for parent in page.parents
        ],
        searched=sum(min(total, end) for _, total in having),
        total=total,
        cursor=str(end) if any(total > end for _, total in having) else None,
        queues={one.name: total for one, total in having},
        redacted=not payloads,
    )


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise InvalidInput(f"cursor={cursor[:40]!r}: pass the cursor of the page before.")
    return int(cursor)


@get("/queues/{queue:str}/jobs/{job_id:str}/flow", guards=[asks_for(Permission.WATCH)], tags=["flows"])
async def read_flow(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
    depth: Annotated[int, QueryParameter(ge=0, le=20)] = 10,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> FlowView:
    """The flow that a job belongs to, from its root: 200 jobs at most, the job itself among them.

    depth: levels below the root. limit: children of each job, failed and pending ones first. A round trip a
    level.
    """
    chosen = management.queue(queue)
    async with answering(SECONDS):
        root = await chosen.whole_flow(job_id, depth, limit, MAX_NODES)
        found = list(walked(root)) if root is not None else []
        if not any((node.key.queue, node.key.id) == (queue, job_id) for node, _ in found):
            raise JobNotFound(
                f"Job {job_id[:100]} is not in {queue!r}. It never was, or its retention has passed."
            )
        stuck = await _stuck(management, [node for node, _ in found])
        now = await server_seconds(management.client)
    payloads = actor.sees_payloads
    return FlowView(
        at=now,
        root=JobName(*found[0][0].key),
        job=JobName(queue, job_id),
        nodes=[
            node_row(node, above, stuck.get(node.key), chosen.sealing, payloads=payloads)
            for node, above in found
        ],
        cut=any(node.counts.total > len(node.children) for node, _ in found),
        redacted=not payloads,
    )


async def _stuck(management: Management, nodes: list[FlowNode]) -> dict[tuple[str, str], StuckParent]:
    """Which of these wait in vain; MAX_JUDGED are looked at. Some two round trips for each 20."""
    waiting = [node for node in nodes if node.status == "waiting-children"][:MAX_JUDGED]
    found: dict[tuple[str, str], StuckParent] = {}
    for name, ids in waiting_keys(waiting).items():
        found |= {(name, one.id): one for one in await management.queue(name).stuck_among(ids)}
    return found


@get("/queues/{queue:str}/jobs/{job_id:str}/children", guards=[asks_for(Permission.WATCH)], tags=["flows"])
async def read_children(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> ChildrenView:
    """Children of a job: completed, ignored, failed, then pending; some `limit` of them. Two round trips.

    A child that ends between two pages may come twice or not at all.
    """
    chosen = management.queue(queue)
    async with answering(SECONDS):
        found, following = await chosen.children_nodes(job_id, cursor, limit)
    payloads = actor.sees_payloads
    above = ChildKey(queue, job_id)
    rows = [node_row(node, above, None, chosen.sealing, payloads=payloads) for node in found]
    return ChildrenView(rows, following)


@post(
    "/queues/{queue:str}/jobs/{job_id:str}/children/retry",
    guards=[asks_for(Permission.OPERATE)],
    tags=["flows"],
    status_code=200,
)
async def retry_children(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
) -> RetryOutcome:
    """Retry the failed children of a job that waits for them, or that they failed: it waits for them again.

    500 at most. 409 if the job has gone on without them.
    """
    async with answering(SECONDS):
        done = await management.queue(queue).retry_children(job_id)
    facts = {"retried": done.retried, "parents": done.parents}
    await management.record(actor, "flow.retry_children", f"{queue}:{job_id}", facts)
    return RetryOutcome(done.retried, done.parents, done.left)


@post(
    "/queues/{queue:str}/jobs/{job_id:str}/children/remove-unprocessed",
    guards=[asks_for(Permission.OPERATE)],
    tags=["flows"],
    status_code=204,
)
async def remove_unprocessed_children(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
) -> None:
    """Remove the pending children that do not run, and theirs. The job runs if nothing is pending then."""
    chosen = management.queue(queue)
    async with answering(SECONDS):
        if await chosen.get(job_id) is None:
            raise JobNotFound(f"Job {job_id[:100]} is not in {queue!r}.")
        before = (await chosen.children_counts(job_id)).pending
        await chosen.remove_unprocessed_children(job_id)
        left = (await chosen.children_counts(job_id)).pending
    facts = {"removed": before - left, "left": left}
    await management.record(actor, "flow.remove_children", f"{queue}:{job_id}", facts)


@post(
    "/queues/{queue:str}/jobs/{job_id:str}/release",
    guards=[asks_for(Permission.OPERATE)],
    tags=["flows"],
    status_code=200,
)
async def release_parent(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
) -> ReleaseOutcome:
    """Let a stuck parent go on without the children that cannot tell it anything: they count as ignored
    failures, those that completed unnoticed as completed. 404 if no such job waits for children."""
    async with answering(SECONDS):
        released = await management.queue(queue).release_parent(job_id)
    await management.record(actor, "flow.release", f"{queue}:{job_id}", {"released": released})
    return ReleaseOutcome(released)


#: All of them, for `routes`.
FLOW_HANDLERS = [
    list_flows,
    read_flow,
    read_children,
    retry_children,
    remove_unprocessed_children,
    release_parent,
]
