"""GET /api/v1/workers/history: how many worker processes lived and were needed, for the chart of both."""

from __future__ import annotations

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.bullmq import fleets
from corral.bullmq.clock import server_ms
from corral.manage.service import Management, asks_for
from corral.stats import chosen_unit


class FleetPage(msgspec.Struct, frozen=True, rename="camel"):
    """By minute, or the most in each hour, oldest first; null where nobody looked.

    `first`: when the first one begins, epoch seconds; each lasts `seconds`. `running`: processes that lived.
    `needed`: by the autoscaler's rule, without its bounds; null, too, where no worker was there to tell by.
    """

    first: float
    seconds: float
    running: list[int | None]
    needed: list[float | None]


@get("/workers/history", guards=[asks_for(Permission.WATCH)], tags=["workers"])
async def read_fleet(
    management: NamedDependency[Management],
    minutes: FromQuery[int | None] = None,
    hours: FromQuery[int | None] = None,
) -> FleetPage:
    """The last `minutes` (60 without a number, at most 1,440) or `hours` (at most 2,160). Two round trips."""
    unit, count = chosen_unit(minutes, hours)
    client = management.client
    async with answering():
        now_ms = await server_ms(client)
        found = await fleets.read_series(client, management.prefix, unit, count, now_ms)
    return FleetPage(
        first=(now_ms // unit.ms - count + 1) * unit.ms / 1000,
        seconds=unit.ms / 1000,
        running=[None if one is None else one.running for one in found],
        needed=[None if one is None else one.needed for one in found],
    )
