"""A queue's settings and what its jobs look like; pause, resume, drain, clean, obliterate, limits.

Every change is in the audit log.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pydantic
from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from corral.admin import Cleanable
from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.definition import JobDefinition
from corral.errors import InvalidInput
from corral.manage.job_rows import retry_waits
from corral.manage.service import Actor, Management, asks_for
from corral.policy import Keep, RateLimit

#: Seconds for what goes through many jobs in steps.
LONG_SECONDS = 60.0

#: Jobs that one request cleans; the answer says whether there are more.
MOST_CLEANED = 50_000

Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class RateRow(msgspec.Struct, frozen=True, rename="camel"):
    """At most `jobs` starts in each `per` seconds."""

    jobs: Count
    per: Annotated[float, Meta(gt=0, le=86_400)]


class KeepRow(msgspec.Struct, frozen=True, rename="camel"):
    """How many finished jobs are kept, for how many seconds; null: no bound."""

    count: int | None
    age: float | None


class QueueSettings(msgspec.Struct, frozen=True, rename="camel"):
    """What holds for a queue. concurrency and rate: over all workers, set live; null: nothing is.

    rateLimitedFor: seconds until the rate allows a start; 0: it does. declared: this process knows the
    queue's code, so that the rest is the queue's; else it is what holds for a queue that says nothing. waits:
    those between attempts, in words.
    oldClients: what told of a BullMQ 5 client.
    """

    queue: str
    paused: bool
    concurrency: int | None
    rate: RateRow | None
    rate_limited_for: float
    declared: bool
    declared_rate: RateRow | None
    attempts: int
    waits: str
    timeout: float | None
    priority: int
    keep_completed: KeepRow
    keep_failed: KeepRow
    written_by: str | None
    old_clients: str | None


class Paused(msgspec.Struct, frozen=True, rename="camel"):
    queue: str
    paused: bool


class Removed(msgspec.Struct, frozen=True, rename="camel"):
    """more: there may be further jobs; ask again."""

    removed: int
    more: bool


class Drain(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """delayed: remove those that are to wait, too."""

    delayed: bool = False


class Clean(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Jobs of a state that finished, or were last started or added, over `olderThan` seconds ago."""

    state: Cleanable
    older_than: Annotated[float, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=MOST_CLEANED)] = MOST_CLEANED


class Obliterate(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """confirm: the queue's name. force: also while jobs run, whose ends are lost."""

    confirm: str
    force: bool = False


class LimitsChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Both are set as given; null takes the limit away."""

    concurrency: Count | None = None
    rate: RateRow | None = None


class JobSchema(msgspec.Struct, frozen=True, rename="camel"):
    """A declared job name, and the JSON schema of its data; null: it takes none."""

    name: str
    schema: dict[str, Any] | None


class QueueSchema(msgspec.Struct, frozen=True, rename="camel"):
    """names: job names that did something lately, or are declared. jobs: the declared ones.

    Without declared jobs, any name and any data is taken.
    """

    queue: str
    names: list[str]
    jobs: list[JobSchema]


@get("/queues/{queue:str}/settings", guards=[asks_for(Permission.WATCH)], tags=["queues"])
async def read_settings(management: NamedDependency[Management], queue: FromPath[str]) -> QueueSettings:
    """What holds for a queue. Two round trips."""
    chosen = management.queue(queue)
    async with answering():
        meta = await chosen.admin.meta()
        limited = await chosen.limits.rate_limited_for()
    return QueueSettings(
        queue=queue,
        paused=meta.paused,
        concurrency=meta.concurrency,
        rate=_rate(meta.rate_limit),
        rate_limited_for=limited,
        declared=queue in management.known.declared,
        declared_rate=_rate(chosen.rate_limit),
        attempts=chosen.retry.attempts,
        waits=retry_waits(chosen.retry),
        timeout=chosen.timeout,
        priority=chosen.priority,
        keep_completed=_keep(chosen.retention.completed),
        keep_failed=_keep(chosen.retention.failed),
        written_by=meta.written_by,
        old_clients=meta.old_clients,
    )


def _rate(limit: RateLimit | None) -> RateRow | None:
    return RateRow(limit.jobs, limit.per) if limit else None


def _keep(keep: Keep) -> KeepRow:
    return KeepRow(keep.count, keep.age)


@get("/queues/{queue:str}/schema", guards=[asks_for(Permission.WATCH)], tags=["queues"])
async def read_schema(management: NamedDependency[Management], queue: FromPath[str]) -> QueueSchema:
    """What jobs of a queue are called and what data they take. One round trip."""
    chosen = management.queue(queue)
    async with answering():
        seen = await chosen.stats.names()
    jobs = [JobSchema(name, data_schema(definition)) for name, definition in sorted(chosen.jobs.items())]
    return QueueSchema(queue, sorted(chosen.jobs) or sorted(seen), jobs)


def data_schema(definition: JobDefinition) -> dict[str, Any] | None:
    """The JSON schema of a job's data, with its definitions inside."""
    if not definition.takes_data:
        return None
    try:
        return msgspec.json.schema(definition.data_type)
    except TypeError:  # a Pydantic model, or what holds one
        return pydantic.TypeAdapter(definition.data_type).json_schema()


@post("/queues/{queue:str}/pause", guards=[asks_for(Permission.OPERATE)], tags=["queues"], status_code=200)
async def pause_queue(
    management: NamedDependency[Management], actor: NamedDependency[Actor], queue: FromPath[str]
) -> Paused:
    """No worker starts a job any more; running ones end."""
    async with answering():
        await management.queue(queue).admin.pause()
    await management.record(actor, "queue.pause", queue)
    return Paused(queue, paused=True)


@post("/queues/{queue:str}/resume", guards=[asks_for(Permission.OPERATE)], tags=["queues"], status_code=200)
async def resume_queue(
    management: NamedDependency[Management], actor: NamedDependency[Actor], queue: FromPath[str]
) -> Paused:
    """Workers go on."""
    async with answering(LONG_SECONDS):
        await management.queue(queue).admin.resume()
    await management.record(actor, "queue.resume", queue)
    return Paused(queue, paused=False)


@post("/queues/{queue:str}/drain", guards=[asks_for(Permission.OPERATE)], tags=["queues"], status_code=200)
async def drain_queue(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[Drain],
) -> Removed:
    """Remove what waits. Running and finished jobs stay, and the next runs of schedules."""
    async with answering(LONG_SECONDS):
        removed = await management.queue(queue).admin.drain(delayed=data.delayed)
    await management.record(actor, "queue.drain", queue, {"delayed": data.delayed, "removed": removed})
    return Removed(removed, more=False)


@post("/queues/{queue:str}/clean", guards=[asks_for(Permission.OPERATE)], tags=["queues"], status_code=200)
async def clean_queue(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[Clean],
) -> Removed:
    """Remove jobs of a state, at most 50,000 in one request."""
    async with answering(LONG_SECONDS):
        removed = await management.queue(queue).admin.clean(
            data.state, older_than=data.older_than, limit=data.limit
        )
    facts = {"state": data.state, "olderThan": data.older_than, "removed": removed}
    await management.record(actor, "queue.clean", queue, facts)
    return Removed(removed, more=removed >= data.limit)


@post(
    "/queues/{queue:str}/obliterate", guards=[asks_for(Permission.OPERATE)], tags=["queues"], status_code=204
)
async def obliterate_queue(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[Obliterate],
) -> None:
    """Remove the queue: every job, its events, schedules and settings. 409 while jobs run, unless `force`."""
    if data.confirm != queue:
        raise InvalidInput(f"To remove {queue!r} with all it holds, send its name as `confirm`.")
    async with answering(LONG_SECONDS):
        await management.queue(queue).admin.obliterate(force=data.force)
    await management.record(actor, "queue.obliterate", queue, {"force": data.force})


@put("/queues/{queue:str}/limits", guards=[asks_for(Permission.OPERATE)], tags=["queues"])
async def change_limits(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[LimitsChange],
) -> LimitsChange:
    """How many jobs may run at once and start in a window, over all workers, from now on."""
    limits = management.queue(queue).limits
    rate = RateLimit(data.rate.jobs, per=data.rate.per) if data.rate else None
    async with answering():
        await limits.set_rate(rate)
        await limits.set_concurrency(data.concurrency)
    facts = {"concurrency": data.concurrency, "rate": msgspec.to_builtins(data.rate)}
    await management.record(actor, "queue.limits", queue, facts)
    return data


@post(
    "/queues/{queue:str}/limits/release",
    guards=[asks_for(Permission.OPERATE)],
    tags=["queues"],
    status_code=204,
)
async def release_rate_limit(
    management: NamedDependency[Management], actor: NamedDependency[Actor], queue: FromPath[str]
) -> None:
    """Begin a new window of the rate limit now. The limit stays."""
    async with answering():
        await management.queue(queue).limits.release_rate_limit()
    await management.record(actor, "queue.rate.release", queue)


#: All of them, for `routes`.
QUEUE_CHANGE_HANDLERS = [
    read_settings,
    read_schema,
    pause_queue,
    resume_queue,
    drain_queue,
    clean_queue,
    obliterate_queue,
    change_limits,
    release_rate_limit,
]
