"""GET /api/v1/queues/{queue}/jobs …: a search, one job whole, its logs, and why it waits.

Who may not see payloads gets every job without what producers and handlers wrote: see `job_rows`. They cannot
search by it either, as every answer would tell a little of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.browse import STATES, SearchPage
from corral.bullmq import placing
from corral.bullmq.clock import server_seconds
from corral.data import decode_json
from corral.errors import InvalidData, InvalidInput
from corral.job import Job
from corral.manage.job_moments import read_moments
from corral.manage.job_rows import JobRow, Policy, job_row
from corral.manage.job_view import JobView, WhyRow, look, view
from corral.manage.service import CHOOSING_SHOWS, Actor, Management, asks_for
from corral.queue import Queue

#: Jobs that one request looks at: it answers in time, and the page asks for more with the cursor.
SCAN = 1_000

#: The same where their data has to be read, which may be large.
SCAN_DATA = 500

#: Children of a job that its page lists.
CHILDREN = 20

#: Seconds for a search or a page of large jobs.
SEARCH_SECONDS = 3.0


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
    attempts_min: Annotated[int | None, QueryParameter(name="attemptsMin")] = None,
    attempts_max: Annotated[int | None, QueryParameter(name="attemptsMax")] = None,
    priority_min: Annotated[int | None, QueryParameter(name="priorityMin")] = None,
    priority_max: Annotated[int | None, QueryParameter(name="priorityMax")] = None,
    group: FromQuery[str | None] = None,
    oldest: FromQuery[bool] = False,
    cursor: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> JobPage:
    """Jobs of the states (with commas between them; all without one) that fit all of the rest.

    name: the whole of it. id: a part of it. error: a part of the reason. after, before: when it was added,
    epoch seconds. where: `{"path.into.data": value}`. attempts: those made. group: the whole of its name.
    oldest: from the other end.

    A request looks at some 1,000 jobs and returns what fits, which may be nothing: go on with the cursor. An
    id that is complete is found at once. A few round trips for each 250 jobs.
    """
    payloads = actor.sees_payloads
    if error is not None or where is not None:
        actor.check_sees_payloads(CHOOSING_SHOWS)
    chosen = management.queue(queue)
    states = [one for one in of_states.split(",") if one] or list(STATES)
    async with answering(SEARCH_SECONDS):
        found = None
        others = (
            name,
            error,
            after,
            before,
            where,
            attempts_min,
            attempts_max,
            priority_min,
            priority_max,
            group,
        )
        if job_id and cursor is None and not any(one is not None for one in others):
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
                attempts_min=attempts_min,
                attempts_max=attempts_max,
                priority_min=priority_min,
                priority_max=priority_max,
                group=group,
                limit=limit,
                scan=SCAN if where is None else SCAN_DATA,
                newest_first=not oldest,
                cursor=cursor,
            )
        rows = await rows_of(chosen, found.jobs, payloads=payloads)
        now = await server_seconds(chosen.client())
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


async def rows_of(queue: Queue, jobs: Sequence[Job], *, payloads: bool) -> list[JobRow]:
    """Jobs as rows of a list. One round trip. Raises RedisUnavailable."""
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
        found = await look(chosen, job_id)
        family = await chosen.flow(job_id, 1, CHILDREN) if sum(found.place.children) else None
    # Of a queue whose code is not known here, Queue(name) says nothing that its workers hold to.
    policy = Policy(chosen.retry, chosen.timeout) if queue in management.known.declared else None
    return view(
        chosen,
        found,
        family.children if family else (),
        policy,
        payloads=actor.sees_payloads,
    )


@get("/queues/{queue:str}/jobs/{job_id:str}/why", guards=[asks_for(Permission.WATCH)], tags=["jobs"])
async def read_why(
    management: NamedDependency[Management], queue: FromPath[str], job_id: FromPath[str]
) -> WhyRow:
    """Why a job is where it is, in one sentence. Some six round trips."""
    async with answering():
        return (await look(management.queue(queue), job_id)).why


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
    if not actor.sees_payloads:
        return LogRows([], page.start, page.total, redacted=True)
    return LogRows(page.rows, page.start, page.total, redacted=False)


#: All of them, for `routes`.
JOB_HANDLERS = [search_jobs, read_job, read_why, read_logs, read_moments]
