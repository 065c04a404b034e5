"""/api/v1/queues/{queue}/groups …: who shares a queue, and a pause for one of them. See `corral.groups`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.bullmq import grouping
from corral.groups import MAX_GROUP_NAME, GroupState
from corral.manage.service import Actor, Management, asks_for

TAGS = ["queues"]


class GroupLimitsRow(msgspec.Struct, frozen=True, rename="camel"):
    """Limits of one group alone; null: no bound."""

    concurrency: int | None
    rate_jobs: int | None
    rate_per: float | None
    max_size: int | None


class GroupRow(msgspec.Struct, frozen=True, rename="camel"):
    """A group as it stands. limits null: those of the queue. rateLimitedFor: seconds until its next start."""

    group: str
    waiting: int
    active: int
    paused: bool
    limits: GroupLimitsRow | None
    rate_limited_for: float


class GroupPage(msgspec.Struct, frozen=True, rename="camel"):
    """Groups with waiting or running jobs, those with the most first. more: there are others. locks: how many
    keyed locks are held or waited for, as far as they were looked at.
    """

    groups: list[GroupRow]
    more: bool
    locks: int


class NamedGroup(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    group: Annotated[str, Meta(min_length=1, max_length=MAX_GROUP_NAME)]


@get("/queues/{queue:str}/groups", guards=[asks_for(Permission.WATCH)], tags=TAGS)
async def list_groups(
    management: NamedDependency[Management],
    queue: FromPath[str],
    count: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
) -> GroupPage:
    """The groups of a queue. Three round trips for a few hundred."""
    chosen = management.queue(queue)
    async with answering():
        found = await chosen.groups.list(count + 1)
        with chosen.redis_errors():
            named = await grouping.names(chosen.client(), chosen.keys(), 1_000, locks=True)
    rows = sorted(
        (_row(one) for one in found[:count]), key=lambda row: (-row.waiting - row.active, row.group)
    )
    locks = sum(name.startswith(grouping.LOCK) for name in named)
    return GroupPage(rows, len(found) > count, locks)


def _row(one: GroupState) -> GroupRow:
    own = one.limits
    limits = None
    if own is not None:
        rate = own.rate_limit
        limits = GroupLimitsRow(
            own.concurrency, rate.jobs if rate else None, rate.per if rate else None, own.max_size
        )
    return GroupRow(one.group, one.waiting, one.active, one.paused, limits, one.rate_limited_for)


@post("/queues/{queue:str}/groups/pause", guards=[asks_for(Permission.OPERATE)], tags=TAGS, status_code=204)
async def pause_group(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[NamedGroup],
) -> None:
    """Start no more jobs of a group; what runs goes on."""
    async with answering():
        await management.queue(queue).groups.pause(data.group)
    await management.record(actor, "group.pause", queue, {"group": data.group})


@post("/queues/{queue:str}/groups/resume", guards=[asks_for(Permission.OPERATE)], tags=TAGS, status_code=204)
async def resume_group(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    data: JSONBody[NamedGroup],
) -> None:
    """End the pause of a group."""
    async with answering():
        await management.queue(queue).groups.resume(data.group)
    await management.record(actor, "group.resume", queue, {"group": data.group})


#: All of them, for `routes`.
GROUP_HANDLERS = [list_groups, pause_group, resume_group]
