"""POST, PATCH /api/v1/queues/{queue}/jobs …: what an operator does to one job; `job_bulk`: to many.

Every change is one entry of the audit log, with ids and settings, never data.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from corral.adding import AddOptions
from corral.api.auth import Permission
from corral.api.bodies import Attempts, JobId, Seconds
from corral.api.lookup import answering
from corral.api.problems import Problem, Refused
from corral.bullmq import placing
from corral.bullmq.cancel import REASON_LIMIT
from corral.bullmq.codec import decode_options
from corral.bullmq.grouping import LOCK
from corral.cancelling import Cancelled
from corral.data import encode
from corral.dedup import MAX_SECONDS, Dedup
from corral.errors import InvalidInput, JobNotFound
from corral.groups import MAX_GROUP_NAME
from corral.manage.job_rows import stored
from corral.manage.masking import holds_marks
from corral.manage.service import Actor, Management, asks_for
from corral.policy import MAX_PRIORITY, Retry
from corral.queue import Queue

Priority = Annotated[int, Meta(ge=0, le=MAX_PRIORITY)]
Reason = Annotated[str, Meta(max_length=REASON_LIMIT)]


class NewJob(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A job to add. What is left out follows the queue's policy. delay: seconds.

    dedupId: while one of this id is there, others are not added; for dedupSeconds, if that is given.
    """

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    data: Any = None
    delay: Seconds | None = None
    priority: Priority | None = None
    attempts: Attempts | None = None
    job_id: JobId | None = None
    dedup_id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    dedup_seconds: Annotated[float, Meta(gt=0, le=MAX_SECONDS)] | None = None
    group: Annotated[str, Meta(min_length=1, max_length=MAX_GROUP_NAME)] | None = None


class Added(msgspec.Struct, frozen=True, rename="camel"):
    """existed: a job of this id was there already, and is as it was."""

    queue: str
    id: str
    existed: bool


class Duplicating(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """What the duplicate has that the job has not: other data."""

    data: Any = msgspec.UNSET


class Revealed(msgspec.Struct, frozen=True, rename="camel"):
    """What a job holds, with the fields that are hidden elsewhere."""

    data: Any
    result: Any
    checkpoint: Any


class Cancelling(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """reason: why, for those who see the job."""

    reason: Reason = ""


class CancelOutcome(msgspec.Struct, frozen=True, rename="camel"):
    """removed: it had not started and is gone. signalled: it runs; its worker ends it within a second."""

    outcome: Literal["removed", "signalled"]


class JobChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """What is to be another: priority (0: none), delay (seconds from now, of a delayed job), data."""

    priority: Priority | msgspec.UnsetType = msgspec.UNSET
    delay: Seconds | msgspec.UnsetType = msgspec.UNSET
    data: Any = msgspec.UNSET


@post("/queues/{queue:str}/jobs", guards=[asks_for(Permission.OPERATE)], tags=["jobs"], status_code=201)
async def add_job(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[NewJob],
) -> Added:
    """Add a job; its data is checked against the declared type, where there is one."""
    chosen = management.queue(queue)
    options = AddOptions()
    if data.delay:
        options["delay"] = data.delay
    if data.priority is not None:
        options["priority"] = data.priority
    if data.attempts is not None:
        declared = chosen.retry
        options["retry"] = Retry(
            attempts=data.attempts, delays=declared.delays, delay=declared.delay, jitter=declared.jitter
        )
    if data.job_id is not None:
        options["job_id"] = data.job_id
    if data.dedup_id is not None:
        options["dedup"] = Dedup(data.dedup_id, ttl=data.dedup_seconds)
    if data.group is not None:
        options["group"] = data.group
    async with answering():
        job = await chosen.add(data.name, data.data, **options)
    await management.record(
        actor, "job.add", f"{queue}:{job.id}", {"name": data.name, "existed": job.existed}
    )
    return Added(queue, job.id, job.existed)


@post(
    "/queues/{queue:str}/jobs/{job_id:str}/duplicate",
    guards=[asks_for(Permission.OPERATE)],
    tags=["jobs"],
    status_code=201,
)
async def duplicate_job(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
    data: JSONBody[Duplicating | None] = None,
) -> Added:
    """Add a job with the name, data and options of this one: a new id, no parent, no idempotency key. Other
    data is checked against the declared type, where there is one.
    """
    other = msgspec.UNSET if data is None else data.data
    _refuse_marks(other)
    chosen = management.queue(queue)
    async with answering():
        found = await chosen.get(job_id)
        if found is None or found.record is None:
            raise JobNotFound(f"Job {job_id[:100]} is not in queue {queue!r}: its retention has passed.")
        with chosen.redis_errors():
            notes = await placing.notes(chosen.client(), chosen.keys(), job_id)
        own = decode_options(found.record.options)
        options = AddOptions(priority=found.record.priority)
        if own.retry is not None and not own.queue_waits:
            options["retry"] = own.retry
        if own.timeout is not None:
            options["timeout"] = own.timeout
        if own.ttl is not None:
            options["ttl"] = own.ttl
        if notes.group:
            group = notes.group.decode(errors="replace")
            options["lock" if group.startswith(LOCK) else "group"] = group.removeprefix(LOCK)
        if other is msgspec.UNSET:
            job = await chosen.add_json(found.name, found.raw_data, **options)
        else:
            job = await chosen.add(found.name, other, **options)
    facts = {"new": job.id} | ({} if other is msgspec.UNSET else {"edited": True})
    await management.record(actor, "job.duplicate", f"{queue}:{job_id}", facts)
    return Added(queue, job.id, existed=False)


@post(
    "/queues/{queue:str}/jobs/{job_id:str}/retry",
    guards=[asks_for(Permission.OPERATE)],
    tags=["jobs"],
    status_code=204,
)
async def retry_job(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
) -> None:
    """Run a failed or completed job again, as if new. Its checkpoint and priority stay."""
    async with answering():
        await management.queue(queue).admin.retry(job_id)
    await management.record(actor, "job.retry", f"{queue}:{job_id}")


@post(
    "/queues/{queue:str}/jobs/{job_id:str}/promote",
    guards=[asks_for(Permission.OPERATE)],
    tags=["jobs"],
    status_code=204,
)
async def promote_job(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
) -> None:
    """Let a delayed job wait no longer."""
    async with answering():
        await management.queue(queue).admin.promote(job_id)
    await management.record(actor, "job.promote", f"{queue}:{job_id}")


@post(
    "/queues/{queue:str}/jobs/{job_id:str}/cancel",
    guards=[asks_for(Permission.OPERATE)],
    tags=["jobs"],
    status_code=200,
)
async def cancel_one(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
    data: JSONBody[Cancelling],
) -> CancelOutcome:
    """Cancel a job: one that waits is removed, one that runs is ended by its worker. 409 if it has ended."""
    async with answering():
        outcome = await cancel_or_refuse(management.queue(queue), job_id, data.reason)
    await management.record(actor, "job.cancel", f"{queue}:{job_id}", {"outcome": outcome})
    return CancelOutcome(outcome)


async def cancel_or_refuse(queue: Queue, job_id: str, reason: str) -> Literal["removed", "signalled"]:
    """Raises Refused if it has ended."""
    met = await queue.cancel(job_id, reason)
    if met is Cancelled.FINISHED:
        detail = f"Job {job_id[:100]} in {queue.name!r} had ended before it could be cancelled."
        raise Refused(Problem(409, "job-finished", "The job is finished", detail))
    return "removed" if met is Cancelled.REMOVED else "signalled"


@post(
    "/queues/{queue:str}/jobs/{job_id:str}/remove",
    guards=[asks_for(Permission.OPERATE)],
    tags=["jobs"],
    status_code=204,
)
async def remove_job(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
) -> None:
    """Remove a job from whatever state it is in but running, with its logs and its pending children."""
    async with answering():
        await management.queue(queue).admin.remove(job_id)
    await management.record(actor, "job.remove", f"{queue}:{job_id}")


@post(
    "/queues/{queue:str}/jobs/{job_id:str}/reveal",
    guards=[asks_for(Permission.READ_PAYLOADS)],
    tags=["jobs"],
    status_code=200,
)
async def reveal_job(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
) -> Revealed:
    """Data, result and checkpoint with the fields that are hidden otherwise. It is in the audit log."""
    chosen = management.queue(queue)
    async with answering():
        found = await chosen.get(job_id)
        if found is None or found.record is None:
            raise JobNotFound(f"Job {job_id[:100]} is not in queue {queue!r}: its retention has passed.")
        with chosen.redis_errors():
            notes = await placing.notes(chosen.client(), chosen.keys(), job_id)
    await management.record(actor, "job.reveal", f"{queue}:{job_id}")
    record = found.record
    return Revealed(
        data=stored(record.data, whole=True),
        result=stored(record.returnvalue, whole=True),
        checkpoint=stored(notes.checkpoint, whole=True),
    )


def _refuse_marks(data: Any) -> None:
    """Raises InvalidInput for data in which a hidden value still stands as its mask."""
    if holds_marks(data):
        raise InvalidInput("The data has hidden fields in it: reveal them before it is edited.")


@patch(
    "/queues/{queue:str}/jobs/{job_id:str}",
    guards=[asks_for(Permission.OPERATE)],
    tags=["jobs"],
    status_code=204,
)
async def change_job(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
    data: JSONBody[JobChange],
) -> None:
    """Change a job's priority, delay and data, in this order; what was done stays done."""
    admin = management.queue(queue).admin
    facts: dict[str, Any] = {}
    try:
        async with answering():
            if data.priority is not msgspec.UNSET:
                await admin.change_priority(job_id, data.priority)
                facts["priority"] = data.priority
            if data.delay is not msgspec.UNSET:
                await admin.change_delay(job_id, data.delay)
                facts["delay"] = data.delay
            if data.data is not msgspec.UNSET:
                _refuse_marks(data.data)
                await admin.update_data(job_id, data.data)
                facts["dataBytes"] = len(encode(data.data))
    finally:
        if facts:
            await management.record(actor, "job.change", f"{queue}:{job_id}", facts)
    if not facts:
        raise InvalidInput("Say what is to change: priority, delay or data.")


#: All of them, for `routes`.
JOB_CHANGE_HANDLERS = [
    add_job,
    duplicate_job,
    retry_job,
    promote_job,
    cancel_one,
    remove_job,
    reveal_job,
    change_job,
]
