"""GET /api/v1/overview: everything that the first page shows, in one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from corral.api.auth import Permission
from corral.api.lookup import looking_at_many
from corral.manage.last_hours import MINUTES, Hour, LastHours
from corral.manage.queue_names import names_of
from corral.manage.queues import QueueRow, queue_rows
from corral.manage.service import Management, asks_for
from corral.manage.shared_look import SharedLook
from corral.manage.workers import BreakerRow, ServerRow
from corral.observe.depth import depth_of
from corral.observe.recent_minutes import RecentMinutes
from corral.observe.stand import RECENT_MINUTES, read_standing
from corral.observe.standing import QueueStanding, WorkerStanding


class OverviewQueue(msgspec.Struct, frozen=True, rename="camel"):
    """A queue's row, and its last hour by minute, oldest first.

    `waiting`: null where nobody looked; the last is of now, held jobs among them.
    """

    row: QueueRow
    arrived: list[int]
    ended: list[int]
    waiting: list[int | None]


class Overview(msgspec.Struct, frozen=True, rename="camel"):
    """`at`: the server's time, epoch seconds. `server` is null where Redis does not let itself be asked.

    leftBehind: workers that run another version than the one that started last. whole: false until all that
    Redis holds was looked at once after a start: there may be more queues.
    """

    at: float
    whole: bool
    queues: list[OverviewQueue]
    workers: int
    left_behind: int
    breakers: list[BreakerRow]
    server: ServerRow | None


@get("/overview", guards=[asks_for(Permission.WATCH)], tags=["queues"])
async def read_overview(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    minutes: Annotated[int, QueryParameter(ge=1, le=MINUTES)] = RECENT_MINUTES,
) -> Overview:
    """All queues with their last hour, workers, breakers and the server. Eight round trips, some at once.

    minutes: how much is recent: rates, failure rate, run times and what follows from them.
    What each job name did is not in the rows: ask for the queue.
    """
    shared: SharedLook[Overview] = request.app.state.setdefault(f"overview_look_{minutes}", SharedLook())
    return await shared.look(lambda: look_at_all(request.app, management, minutes))


async def look_at_all(app: Litestar, management: Management, minutes: int = RECENT_MINUTES) -> Overview:
    """A look of its own. Raises RedisUnavailable."""
    queues, whole = await names_of(app, management).so_far()
    async with looking_at_many(management.client):
        kept = app.state.setdefault(f"overview_minutes_{minutes}", RecentMinutes())
        standing = await read_standing(queues, minutes=minutes, names=False, kept=kept)
        hours = await _hours_of(app).read(
            management.client, [queue.keys() for queue in queues], round(standing.at * 1000)
        )
    rows = queue_rows(standing, management)
    return Overview(
        at=standing.at,
        whole=whole,
        queues=[_queue(rows[name], standing.queues[name], hours[name]) for name in sorted(rows)],
        workers=len(standing.workers),
        left_behind=_left_behind(standing.workers),
        breakers=[msgspec.convert(b, BreakerRow, from_attributes=True) for b in standing.breakers],
        server=None
        if standing.server is None
        else msgspec.convert(standing.server, ServerRow, from_attributes=True),
    )


def _left_behind(workers: Sequence[WorkerStanding]) -> int:
    newest = max(workers, key=lambda worker: worker.started_at, default=None)
    return 0 if newest is None else sum(worker.version != newest.version for worker in workers)


def _hours_of(app: Litestar) -> LastHours:
    """The application's own."""
    found: LastHours | None = app.state.get("last_hours")
    if found is None:
        found = app.state.last_hours = LastHours()
    return found


def _queue(row: QueueRow, standing: QueueStanding, hour: Hour) -> OverviewQueue:
    now = depth_of(standing)
    return OverviewQueue(
        row=row,
        arrived=hour.arrived,
        ended=hour.ended,
        waiting=[*hour.waiting[:-1], now.waiting + now.held],
    )
