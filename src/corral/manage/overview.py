"""GET /api/v1/overview: everything that the first page shows, in one answer."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar, Request, get
from litestar.di import NamedDependency

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.manage.last_hours import LastHours, Minute
from corral.manage.queues import QueueRow, known_queues, queue_row
from corral.manage.service import Management, asks_for
from corral.manage.workers import BreakerRow, ServerRow
from corral.observe.stand import read_standing
from corral.observe.standing import Standing


class OverviewQueue(msgspec.Struct, frozen=True, rename="camel"):
    """A queue's row, and its last hour by minute, oldest first."""

    row: QueueRow
    arrived: list[int]
    ended: list[int]


class Overview(msgspec.Struct, frozen=True, rename="camel"):
    """`at`: the server's time, epoch seconds. `server` is null where Redis does not let itself be asked."""

    at: float
    queues: list[OverviewQueue]
    workers: int
    breakers: list[BreakerRow]
    server: ServerRow | None


@get("/overview", guards=[asks_for(Permission.WATCH)], tags=["queues"])
async def read_overview(request: Request[Any, Any, Any], management: NamedDependency[Management]) -> Overview:
    """All queues with their last hour, workers, breakers and the server. Six round trips, some at once.

    What each job name did is not in the rows: ask for the queue.
    """
    queues = await known_queues(request, management)
    async with answering():
        standing = await read_standing(queues, names=False)
    async with answering():
        hours = await _hours_of(request.app).read(
            management.client, [queue.keys() for queue in queues], round(standing.at * 1000)
        )
    return Overview(
        at=standing.at,
        queues=[_queue(name, standing, hours[name]) for name in sorted(standing.queues)],
        workers=len(standing.workers),
        breakers=[msgspec.convert(b, BreakerRow, from_attributes=True) for b in standing.breakers],
        server=None
        if standing.server is None
        else msgspec.convert(standing.server, ServerRow, from_attributes=True),
    )


def _hours_of(app: Litestar) -> LastHours:
    """The application's own."""
    found: LastHours | None = app.state.get("last_hours")
    if found is None:
        found = app.state.last_hours = LastHours()
    return found


def _queue(name: str, standing: Standing, hour: list[Minute]) -> OverviewQueue:
    return OverviewQueue(
        row=queue_row(standing.queues[name], standing),
        arrived=[minute.arrived for minute in hour],
        ended=[minute.ended for minute in hour],
    )
