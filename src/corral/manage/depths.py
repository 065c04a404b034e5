"""GET /api/v1/depths: how much waited in some queues, over time, for the chart of all."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.bullmq import depths
from corral.bullmq.clock import server_ms
from corral.manage.service import Management, asks_for
from corral.stats import chosen_unit

#: Queues that one answer is about: 90 days of one are 2,160 numbers.
MOST_QUEUES = 12


class QueueDepths(msgspec.Struct, frozen=True, rename="camel"):
    """What waited, held jobs among it: by minute, or the most in each hour; null where nobody looked."""

    queue: str
    waiting: list[int | None]


class DepthsPage(msgspec.Struct, frozen=True, rename="camel"):
    """Oldest first. `first`: when the first of `points` begins, epoch seconds; each lasts `seconds`."""

    first: float
    seconds: float
    points: int
    queues: list[QueueDepths]


@get("/depths", guards=[asks_for(Permission.WATCH)], tags=["queues"])
async def read_depths(
    management: NamedDependency[Management],
    queue: Annotated[list[str], QueryParameter(min_items=1, max_items=MOST_QUEUES)],
    minutes: FromQuery[int | None] = None,
    hours: FromQuery[int | None] = None,
) -> DepthsPage:
    """The last `minutes` (60 without a number, at most 1,440) or `hours` (at most 2,160). Two round trips."""
    chosen = [management.queue(name) for name in queue]
    unit, count = chosen_unit(minutes, hours)
    async with answering():
        now_ms = await server_ms(management.client)
        found = await depths.read_series(management.client, [q.keys() for q in chosen], unit, count, now_ms)
    first = (now_ms // unit.ms - count + 1) * unit.ms / 1000
    rows = [
        QueueDepths(q.name, [None if one is None else one.waiting + one.held for one in series])
        for q, series in zip(chosen, found, strict=True)
    ]
    return DepthsPage(first, unit.ms / 1000, count, rows)
