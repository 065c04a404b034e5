"""Looking at jobs: their status, and waiting for their end (long poll).

`GET /job-status/{jobId}` answers with exactly the seven members of the contract. Ids are unique in a queue
only: without `?queue=` the queues are asked together and the first that has the id answers, in the order they
were declared; the header Corral-Also-In then names the others. `GET /v1/queues/{queue}/jobs/{id}` has more
of the job, but not its data, which may be personal.

`?wait=` seconds holds the answer until the job has ended, at most MAX_WAIT_SECONDS and for at most
MAX_WAITING callers at once; whoever waits in vain gets the job as it stands.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from corral.api.auth import OWN_QUEUES, Permission, check_scope
from corral.api.lookup import Found
from corral.api.problems import Problem, Refused
from corral.api.service import Service, caller_of, permits
from corral.data import decode_json
from corral.errors import InvalidData, JobNotFound
from corral.queue import Queue

#: Most proxies cut a silent request off after a minute.
MAX_WAIT_SECONDS = 60
#: Held requests cost a task and a socket each; beyond this many, the answer comes at once.
MAX_WAITING = 2_000

Status = Literal["waiting", "active", "delayed", "completed", "failed", "waiting-children"]
Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
FINISHED = frozenset({"completed", "failed"})


class JobStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The answer of /job-status: these members and no others."""

    id: str
    queue: str
    status: Status
    progress: Any
    result: Any
    failed_reason: str | None
    attempts_made: int


class JobView(msgspec.Struct, frozen=True, rename="camel"):
    """The answer of /v1/queues/{queue}/jobs/{id}. Times are RFC 3339 in UTC."""

    id: str
    queue: str
    name: str
    status: Status
    progress: Any
    result: Any
    failed_reason: str | None
    attempts_made: int
    enqueued_at: Moment | None
    started_at: Moment | None
    finished_at: Moment | None
    processed_by: str | None


@get("/job-status/{job_id:str}", guards=[permits(Permission.READ_JOBS, OWN_QUEUES)])
async def job_status(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    job_id: FromPath[str],
    queue: FromQuery[str | None] = None,
) -> Response[JobStatus]:
    """A job's status, in one round trip for all queues, or all that the key is for."""
    key = caller_of(request)
    if queue is not None:
        check_scope(key, Permission.READ_JOBS, queue)
        queues = [service.known.named(queue)]
    else:
        queues = [each for each in service.known if key.sees(each.name)]
    found = await service.lookup.find(queues, job_id)
    if not found:
        where = f"queue {queue!r}" if queue is not None else "any known queue; ?queue= asks another one"
        raise Refused(
            Problem(
                404,
                "job-not-found",
                "Unknown job",
                f"Job {job_id[:100]!r} is not in {where}. It never was, or its retention has passed.",
                extra={"status": "not_found"},
            )
        )
    first, *others = found
    return Response(
        _status(first), headers={"Corral-Also-In": ", ".join(o.queue for o in others)} if others else None
    )


@get("/v1/queues/{queue:str}/jobs/{job_id:str}", guards=[permits(Permission.READ_JOBS)])
async def job(
    request: Request[Any, Any, Any],
    service: NamedDependency[Service],
    queue: FromPath[str],
    job_id: FromPath[str],
    wait: Annotated[float, QueryParameter(ge=0, le=MAX_WAIT_SECONDS)] = 0,
) -> JobView:
    """A job; with `wait`, when it has ended or the time is up. Raises JobNotFound."""
    asked = service.known.named(queue)
    found = await find_one(service, asked, job_id)
    if found is None:
        raise not_found(queue, job_id)
    if wait and found.status not in FINISHED:
        found = await _wait(service, request, asked, found, wait)
    return view(found)


async def find_one(service: Service, queue: Queue, job_id: str) -> Found | None:
    """The job in one queue. One round trip. Raises RedisUnavailable."""
    found = await service.lookup.find([queue], job_id)
    return found[0] if found else None


async def _wait(
    service: Service, request: Request[Any, Any, Any], queue: Queue, found: Found, seconds: float
) -> Found:
    """The job after its end, the time, the caller's leaving or the service's stop, whichever is first."""
    if len(service.waiting) >= MAX_WAITING:
        return found
    job_id = found.record.id
    end = asyncio.create_task(queue.outcome(job_id))
    others = [asyncio.create_task(service.stopping.wait()), asyncio.create_task(_left(request))]
    service.waiting.add(end)
    try:
        await asyncio.wait([end, *others], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        outcome = end.result() if end.done() else None
    except JobNotFound:
        outcome = None
    finally:
        service.waiting.discard(end)
        for task in (end, *others):
            task.cancel()
        await asyncio.gather(end, *others, return_exceptions=True)
    fresh = await find_one(service, queue, job_id)
    if fresh is not None:
        return fresh
    if outcome is None:
        raise not_found(queue.name, job_id)
    # The job was removed as it ended; its end is known all the same.
    value = queue.sealing.show("result", job_id, outcome.text.encode()) if outcome.completed else None
    reason = None if outcome.completed else outcome.text
    record = replace(found.record, returnvalue=value, failed_reason=reason)
    return Found(queue.name, "completed" if outcome.completed else "failed", record)


async def _left(request: Request[Any, Any, Any]) -> None:
    """Return when the caller has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def not_found(queue: str, job_id: str) -> JobNotFound:
    """The error for a job that is not there."""
    return JobNotFound(
        f"Job {job_id[:100]!r} is not in queue {queue!r}. It never was, or its retention has passed."
    )


def _status(found: Found) -> JobStatus:
    record = found.record
    return JobStatus(
        id=record.id,
        queue=found.queue,
        status=cast("Status", found.status),
        progress=record.progress,
        result=_result(record.returnvalue),
        failed_reason=record.failed_reason,
        attempts_made=record.attempts_made,
    )


def view(found: Found) -> JobView:
    """The job as the API shows it."""
    record = found.record
    return JobView(
        id=record.id,
        queue=found.queue,
        name=record.name,
        status=cast("Status", found.status),
        progress=record.progress,
        result=_result(record.returnvalue),
        failed_reason=record.failed_reason,
        attempts_made=record.attempts_made,
        enqueued_at=moment(record.enqueued_at),
        started_at=moment(record.started_at),
        finished_at=moment(record.finished_at),
        processed_by=record.processed_by,
    )


def _result(raw: bytes | None) -> Any:
    """The return value as it was stored; as text if some client stored what is not JSON."""
    if raw is None:
        return None
    try:
        decode_json(raw)
    except InvalidData:
        return raw.decode(errors="replace")
    return msgspec.Raw(raw)


def moment(epoch: float | None) -> str | None:
    """Always with milliseconds, so that times can be compared as text."""
    if epoch is None:
        return None
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
