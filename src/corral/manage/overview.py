"""GET /api/v1/overview: everything that the first page shows, in one answer."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.bullmq import depths, statistics
from corral.bullmq.depths import Depth
from corral.bullmq.statistics import MINUTE, Entry
from corral.manage.queues import QueueRow, known_queues, queue_row
from corral.manage.service import Management, asks_for
from corral.manage.workers import BreakerRow, ServerRow
from corral.observe.depth import depth_of
from corral.observe.stand import read_standing
from corral.observe.standing import Standing

#: What the small charts show.
MINUTES = 60


class OverviewQueue(msgspec.Struct, frozen=True, rename="camel"):
    """A queue's row, and its last hour by minute, oldest first.

    `waiting`: null where nobody looked; the last is of now, held jobs among them.
    """

    row: QueueRow
    arrived: list[int]
    ended: list[int]
    waiting: list[int | None]


class Overview(msgspec.Struct, frozen=True, rename="camel"):
    """`at`: the server's time, epoch seconds. `server` is null where Redis does not let itself be asked."""

    at: float
    queues: list[OverviewQueue]
    workers: int
    breakers: list[BreakerRow]
    server: ServerRow | None


@get("/overview", guards=[asks_for(Permission.WATCH)], tags=["queues"])
async def read_overview(request: Request[Any, Any, Any], management: NamedDependency[Management]) -> Overview:
    """All queues with their last hour, workers, breakers and the server. Seven round trips, some at once."""
    queues = await known_queues(request, management)
    async with answering():
        standing = await read_standing(queues)
        now_ms = round(standing.at * 1000)
        keys = [q.keys() for q in queues]
        series, past = await asyncio.gather(
            asyncio.gather(
                *(statistics.read_series(q.client(), q.keys(), MINUTE, MINUTES, now_ms, None) for q in queues)
            ),
            depths.read_series(management.client, keys, MINUTE, MINUTES, now_ms),
        )
    by_name = {q.name: entries for q, (_, entries) in zip(queues, series, strict=True)}
    past_of = dict(zip((q.name for q in queues), past, strict=True))
    return Overview(
        at=standing.at,
        queues=[
            _queue(name, standing, management, by_name[name], past_of[name])
            for name in sorted(standing.queues)
        ],
        workers=len(standing.workers),
        breakers=[msgspec.convert(b, BreakerRow, from_attributes=True) for b in standing.breakers],
        server=None
        if standing.server is None
        else msgspec.convert(standing.server, ServerRow, from_attributes=True),
    )


def _queue(
    name: str,
    standing: Standing,
    management: Management,
    entries: list[Entry],
    past: list[Depth | None],
) -> OverviewQueue:
    now = depth_of(standing.queues[name])
    return OverviewQueue(
        row=queue_row(standing.queues[name], standing, management),
        arrived=[entry.counts.get("arrived", 0) for entry in entries],
        ended=[entry.counts.get("completed", 0) + entry.counts.get("failed", 0) for entry in entries],
        waiting=[None if one is None else one.waiting + one.held for one in [*past[:-1], now]],
    )
