"""GET /api/v1/find: a job of any queue, by an id that somebody has at hand."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from corral.api.auth import Permission
from corral.api.lookup import looking_at_many
from corral.bullmq.finding import By, find_everywhere
from corral.manage.queues import known_queues
from corral.manage.service import Management, asks_for

#: Characters of an id that are looked up.
MAX_TEXT = 300


class FoundJob(msgspec.Struct, frozen=True, rename="camel"):
    """A job that has the id. `by`: its own, its deduplication id, or its idempotency key.

    `added`: epoch seconds.
    """

    queue: str
    id: str
    name: str
    state: str
    added: float
    by: By


class FoundJobs(msgspec.Struct, frozen=True, rename="camel"):
    """Newest first, at most twenty. `queues`: how many were looked at."""

    jobs: list[FoundJob]
    queues: int


@get("/find", guards=[asks_for(Permission.WATCH)], tags=["jobs"])
async def find_jobs(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    text: Annotated[str, QueryParameter(name="id", min_length=1, max_length=MAX_TEXT)],
) -> FoundJobs:
    """Jobs of this id, deduplication id or idempotency key in all queues. The whole of it: it is looked up.

    Four round trips, however many queues there are and whatever they hold.
    """
    queues = [queue.keys() for queue in await known_queues(request, management)]
    async with looking_at_many(management.client):
        found = await find_everywhere(management.client, queues, text)
    jobs = [FoundJob(one.keys.name, one.job_id, one.name, one.state, one.added, one.by) for one in found]
    return FoundJobs(jobs, len(queues))
