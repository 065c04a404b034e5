"""POST /api/v1/queues/{queue}/jobs/bulk: one action on up to 1,000 jobs, and how many it was done to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from corral.api.auth import Permission
from corral.api.bodies import Seconds
from corral.api.lookup import answering
from corral.errors import CorralError, RedisUnavailable
from corral.manage.job_changes import Priority, Reason, cancel_or_refuse
from corral.manage.service import Actor, Management, asks_for
from corral.queue import Queue

#: Jobs of one bulk request.
MOST_AT_ONCE = 1_000

#: Of them at the same time.
TOGETHER = 50

#: Seconds for them all.
BULK_SECONDS = 20.0

#: Ids that the audit log keeps of a bulk change, and jobs that an answer says why of.
IDS_NOTED = 50


class Many(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """priority and delay go with the actions of these names."""

    action: Literal["retry", "promote", "cancel", "remove", "priority", "delay"]
    ids: Annotated[list[str], Meta(min_length=1, max_length=MOST_AT_ONCE)]
    priority: Priority = 0
    delay: Seconds = 0
    reason: Reason = ""


class NotDone(msgspec.Struct, frozen=True, rename="camel"):
    """A job that stayed as it was, and why."""

    id: str
    why: str


class ManyOutcome(msgspec.Struct, frozen=True, rename="camel"):
    """done: how many it was done to. failed: how many stayed as they were; `some`: the first of them."""

    done: int
    failed: int
    some: list[NotDone]


@post("/queues/{queue:str}/jobs/bulk", guards=[asks_for(Permission.OPERATE)], tags=["jobs"], status_code=200)
async def change_many(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[Many],
) -> ManyOutcome:
    """Do the same to up to 1,000 jobs. Those whose state does not allow it stay as they are."""
    do = _doing(management.queue(queue), data)
    async with answering(BULK_SECONDS):
        not_done = await _each(list(dict.fromkeys(data.ids)), do)
    done = len(set(data.ids)) - len(not_done)
    facts = {"done": done, "failed": len(not_done), "ids": data.ids[:IDS_NOTED]}
    await management.record(actor, f"job.{data.action}", queue, facts)
    return ManyOutcome(done, len(not_done), not_done[:IDS_NOTED])


def _doing(queue: Queue, many: Many) -> Callable[[str], Awaitable[object]]:
    admin = queue.admin
    match many.action:
        case "retry":
            return admin.retry
        case "promote":
            return admin.promote
        case "remove":
            return admin.remove
        case "cancel":
            return lambda job_id: cancel_or_refuse(queue, job_id, many.reason)
        case "priority":
            return lambda job_id: admin.change_priority(job_id, many.priority)
        case "delay":
            return lambda job_id: admin.change_delay(job_id, many.delay)


async def _each(ids: Sequence[str], do: Callable[[str], Awaitable[object]]) -> list[NotDone]:
    """Those it could not be done to. Raises RedisUnavailable at once."""

    async def one(job_id: str) -> NotDone | None:
        try:
            await do(job_id)
        except RedisUnavailable:
            raise
        except CorralError as error:
            return NotDone(job_id, str(error))
        return None

    not_done: list[NotDone] = []
    for start in range(0, len(ids), TOGETHER):
        told = await asyncio.gather(*(one(job_id) for job_id in ids[start : start + TOGETHER]))
        not_done += [each for each in told if each is not None]
    return not_done
