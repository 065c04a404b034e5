"""GET /api/v1/dead and /api/v1/queues/{queue}/dead…: what failed, in groups, and what is said of it.

Reading asks for the role read. Data of jobs is shown to who may see payloads, and only if asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.bullmq.clock import server_seconds
from corral.bullmq.dead_groups import queues_with_groups
from corral.dead import Filter, Target, all_groups, all_operations, failed_by_hour
from corral.deadletters.groups import STATES, Group, State
from corral.errors import UnknownQueue
from corral.job import Job
from corral.manage.dead_carriers import carriers_of
from corral.manage.dead_views import (
    AllGroupsView,
    AttemptView,
    GroupDetail,
    GroupsView,
    GroupView,
    Ignored,
    LetterRow,
    LettersPage,
    LetterView,
    NewNote,
    NoteView,
    OperationView,
    PolicyView,
    StandingView,
)
from corral.manage.queue_names import names_of
from corral.manage.service import CHOOSING_SHOWS, Actor, Management, asks_for

WATCH, OPERATE = [asks_for(Permission.WATCH)], [asks_for(Permission.OPERATE)]
TAGS = ["dead letters"]

#: A search looks at this many jobs a call.
SCAN = 5_000

#: For what takes many round trips: a search, a page of a thousand letters.
LONG_SECONDS = 10.0

#: Groups whose last 24 hours are counted, and operations that are listed, in the answer about all queues.
CHARTS, OPERATIONS = 50, 50

#: Of a job's data in a list.
DATA_BYTES = 240

_JSON_LINES = "application/x-ndjson"

Start = Annotated[int, QueryParameter(ge=0)]
Count = Annotated[int, QueryParameter(ge=1, le=1_000)]
States = Annotated[list[State] | None, QueryParameter(name="state")]


@get("/dead", guards=WATCH, tags=TAGS)
async def all_dead_groups(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    states: States = None,
) -> AllGroupsView:
    """The groups of all queues, those seen last first, as they are indexed, and the operations on them.
    Indexing what is new goes on behind. Six round trips for one server.
    """
    found, whole = await names_of(request.app, management).so_far()
    known = {queue.name: queue for queue in found}
    async with answering():
        for name in await queues_with_groups(management.client, management.prefix):
            with contextlib.suppress(UnknownQueue):  # of somebody else, under the same prefix
                known.setdefault(name, management.queue(name))
        queues = [known[name] for name in sorted(known)]
        settings = management.settings
        pages = await all_groups(queues, states=states or STATES, settings=settings)
        groups = [group for page in pages for group in page.groups]
        groups.sort(key=lambda group: group.last_seen, reverse=True)
        now = await server_seconds(management.client)
        counts = await failed_by_hour(queues, groups[:CHARTS], now, settings=settings)
        operations = await all_operations(queues, OPERATIONS, settings=settings)
    carriers = carriers_of(request.app)
    behind = {page.queue for page in pages if not page.standing.complete}
    unfinished = {operation.queue for operation in operations if not operation.is_over}
    for queue in queues:
        if queue.name in behind:
            carriers.begin_index(queue)
        if queue.name in unfinished:
            carriers.carry(queue)
    hours: dict[str, dict[str, list[int]]] = {}
    for group, by_hour in counts:
        hours.setdefault(group.queue, {})[group.id] = by_hour
    return AllGroupsView(
        at=now,
        whole=whole,
        groups=[_group(group, actor) for group in groups],
        queues={page.queue: StandingView.of(page.standing) for page in pages},
        hours=hours,
        operations=[OperationView.of(operation) for operation in operations],
    )


@get("/queues/{queue:str}/dead", guards=WATCH, tags=TAGS)
async def dead_groups(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    states: States = None,
) -> GroupsView:
    """The groups of a queue, those seen last first; what failed a moment ago among them."""
    asked = management.queue(queue)
    await carriers_of(request.app).index(asked)
    async with answering():
        (page,) = await all_groups([asked], states=states or STATES)
    return GroupsView(queue, [_group(g, actor) for g in page.groups], StandingView.of(page.standing))


@get("/queues/{queue:str}/dead/policy", guards=WATCH, tags=TAGS)
async def dead_policy(management: NamedDependency[Management], queue: FromPath[str]) -> PolicyView:
    """How long dead letters stay in this queue."""
    async with answering():
        return PolicyView.of(await management.queue(queue).dead.policy())


@get("/queues/{queue:str}/dead/groups/{group:str}", guards=WATCH, tags=TAGS)
async def dead_group(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    group: FromPath[str],
) -> GroupDetail:
    """One group with its notes."""
    return await _detail(management, actor, queue, group)


def _group(group: Group, actor: Actor) -> GroupView:
    return GroupView.seen(group, payloads=actor.sees_payloads)


async def _detail(management: Management, actor: Actor, queue: str, group: str) -> GroupDetail:
    desk = management.queue(queue).dead
    async with answering():
        found, notes = await desk.group(group), await desk.notes(group)
    return GroupDetail(_group(found, actor), [NoteView.of(note) for note in notes])


@post("/queues/{queue:str}/dead/groups/{group:str}/resolve", guards=OPERATE, tags=TAGS, status_code=200)
async def resolve_dead_group(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    group: FromPath[str],
) -> GroupDetail:
    """Say that the cause is repaired; the next failure opens the group again."""
    async with answering():
        await management.queue(queue).dead.resolve(group, actor=actor.name)
    return await _detail(management, actor, queue, group)


@post("/queues/{queue:str}/dead/groups/{group:str}/reopen", guards=OPERATE, tags=TAGS, status_code=200)
async def reopen_dead_group(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    group: FromPath[str],
) -> GroupDetail:
    """Take a resolve or an ignore back."""
    async with answering():
        await management.queue(queue).dead.reopen(group, actor=actor.name)
    return await _detail(management, actor, queue, group)


@post("/queues/{queue:str}/dead/groups/{group:str}/ignore", guards=OPERATE, tags=TAGS, status_code=200)
async def ignore_dead_group(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    group: FromPath[str],
    data: JSONBody[Ignored],
) -> GroupDetail:
    """Do not show a group as open until a time, or so many further failures."""
    async with answering():
        await management.queue(queue).dead.ignore(
            group, until=data.until, failures=data.failures, actor=actor.name
        )
    return await _detail(management, actor, queue, group)


@post("/queues/{queue:str}/dead/groups/{group:str}/notes", guards=OPERATE, tags=TAGS, status_code=201)
async def note_dead_group(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    group: FromPath[str],
    data: JSONBody[NewNote],
) -> GroupDetail:
    """Write something down about a group."""
    async with answering():
        await management.queue(queue).dead.note(group, data.text, actor=actor.name)
    return await _detail(management, actor, queue, group)


@get("/queues/{queue:str}/dead/jobs", guards=WATCH, tags=TAGS)
async def dead_jobs(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    group: FromQuery[str | None] = None,
    start: Start = 0,
    count: Count = 50,
    with_data: Annotated[bool, QueryParameter(name="data")] = False,
) -> LettersPage:
    """Failed jobs, or those of a group, the newest first; with `data` its start, for who may see that."""
    if with_data:
        actor.check_sees_payloads("Data is what jobs hold")
    async with answering(LONG_SECONDS):
        jobs = await management.queue(queue).dead.jobs(group, start=start, count=count)
    return LettersPage([_row(job, actor, with_data=with_data) for job in jobs])


def _row(job: Job, actor: Actor, *, with_data: bool = False) -> LetterRow:
    data = _beginning(job) if with_data else None
    if actor.sees_payloads:
        return LetterRow.of(job, data=data)
    return LetterRow.of(job, data=data, failed_reason=None)


def _beginning(job: Job) -> str:
    return job.raw_data[:DATA_BYTES].decode(errors="replace")


@post("/queues/{queue:str}/dead/search", guards=WATCH, tags=TAGS, status_code=200)
async def search_dead_jobs(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[Filter],
    cursor: FromQuery[str | None] = None,
    count: Count = 50,
) -> LettersPage:
    """Failed jobs that fit a filter, the newest first; 5,000 jobs are looked at a call. By `error` and
    `where` search those who may see payloads.
    """
    check_may_ask(actor, data)
    async with answering(LONG_SECONDS):
        page = await management.queue(queue).dead.search(data, limit=count, scan=SCAN, cursor=cursor)
    return LettersPage([_row(job, actor) for job in page.jobs], page.cursor, page.searched, page.total)


@get("/queues/{queue:str}/dead/jobs/{job_id:str}", guards=WATCH, tags=TAGS)
async def dead_job(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
    with_data: Annotated[bool, QueryParameter(name="data")] = False,
    log_rows: Annotated[int, QueryParameter(ge=0, le=1_000)] = 100,
) -> LetterView:
    """One dead letter; with `data`, for who may see payloads, what it was given and what it had kept."""
    if with_data:
        actor.check_sees_payloads("Data is what jobs hold")
    async with answering():
        letter = await management.queue(queue).dead.show(job_id, log_rows=log_rows)
    shown = actor.sees_payloads
    said = {} if shown else {"trace": ""}
    return LetterView.of(
        letter,
        reason=letter.reason if shown else "",
        attempts=[AttemptView.of(attempt, **said) for attempt in letter.attempts],
        logs=list(letter.logs) if shown else [],
        redacted=not shown,
        has_data=with_data,
        data=letter.data if with_data else None,
        checkpoint=letter.checkpoint if with_data else None,
    )


@get("/queues/{queue:str}/dead/export", guards=WATCH, tags=TAGS, media_type=_JSON_LINES)
async def export_dead_jobs(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    group: FromQuery[str | None] = None,
    name: FromQuery[str | None] = None,
    error: FromQuery[str | None] = None,
    redact: FromQuery[bool] = True,
) -> Stream:
    """JSON lines of a group, or of what fits, the newest first. Without `redact` for who may see
    payloads.
    """
    asked = Filter(name=name, error=error)
    if not redact:
        actor.check_sees_payloads("Data is what jobs hold")
    check_may_ask(actor, asked)
    desk = management.queue(queue).dead
    async with answering():
        if group:
            await desk.group(group)
        await management.record(actor, "dead.export", queue, {"group": group, "redacted": redact})
    target = Target(group=group) if group else Target(filter=asked)
    lines = _lines(desk.export(target, redact=redact), shapes=actor.sees_payloads)
    return Stream(lines, media_type=_JSON_LINES)


async def _lines(rows: AsyncIterator[dict[str, Any]], *, shapes: bool) -> AsyncIterator[bytes]:
    """shapes: with the names of fields in the data, which may be personal where they are no names of ours."""
    async for row in rows:
        yield msgspec.json.encode(row if shapes else row | {"data": None}) + b"\n"


def check_may_ask(actor: Actor, asked: Filter | None) -> None:
    """Raise Refused for a question about payloads from who may not see them: answers give them away."""
    if asked is not None and (asked.error is not None or asked.where):
        actor.check_sees_payloads(CHOOSING_SHOWS)


DEAD_HANDLERS = [
    all_dead_groups,
    dead_group,
    dead_groups,
    dead_job,
    dead_jobs,
    dead_policy,
    export_dead_jobs,
    ignore_dead_group,
    note_dead_group,
    reopen_dead_group,
    resolve_dead_group,
    search_dead_jobs,
]
