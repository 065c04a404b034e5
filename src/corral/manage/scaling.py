"""GET /api/v1/scaling/decisions: how processes were scaled; /scaling/{queue}: what a queue asks for.

The second is flat JSON numbers, for an autoscaler outside: KEDA's metrics-api scaler reads one of them by its
`valueLocation`, as `wantedProcesses`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.manage.service import Management, asks_for
from corral.scaling import ScalingDecision, read_demands, scaling_decisions
from corral.worker.autoscale import need_of, wanted_processes

#: Stands for "nothing ended lately, so nobody can tell": a number that JSON and KEDA hold, a year.
FOREVER_SECONDS = 31_536_000.0


class ScalingPage(msgspec.Struct, frozen=True, rename="camel"):
    """Newest first."""

    decisions: list[ScalingDecision]


class QueueScaling(msgspec.Struct, frozen=True, rename="camel"):
    """What a queue asks for, all numbers. Jobs that a breaker holds are in `held` alone.

    oldestSeconds: 0 if nothing waits. drainSeconds: a year if nothing ends, so that nobody can tell.
    wantedProcesses: of all hosts together, never more than helps. reason: what it misses, and what binds.
    """

    queue: str
    waiting: int
    active: int
    held: int
    oldest_seconds: float
    drain_seconds: float
    live_processes: int
    wanted_processes: int
    paused: bool
    reason: str


@get("/scaling/decisions", guards=[asks_for(Permission.WATCH)], tags=["scaling"])
async def read_decisions(
    management: NamedDependency[Management],
    count: Annotated[int, QueryParameter(ge=1, le=1_000)] = 100,
) -> ScalingPage:
    """Decisions of all supervisors, with what they saw. One round trip."""
    async with answering():
        return ScalingPage(await scaling_decisions(management.client, management.prefix, count=count))


@get("/scaling/{queue:str}", guards=[asks_for(Permission.WATCH)], tags=["scaling"])
async def read_scaling(management: NamedDependency[Management], queue: FromPath[str]) -> QueueScaling:
    """What a queue asks for, for KEDA's metrics-api scaler. Six round trips, most of them at once."""
    known = management.queue(queue)
    async with answering():
        (demand,), _ = await read_demands([known], management.settings)
    standing, need = demand.standing, need_of(demand)
    drain = standing.drain_seconds
    return QueueScaling(
        queue=queue,
        waiting=standing.waiting,
        active=standing.counts.get("active", 0),
        held=sum(standing.held.values()),
        oldest_seconds=round(standing.oldest_waiting_seconds or 0.0, 3),
        drain_seconds=FOREVER_SECONDS if drain is None else round(min(drain, FOREVER_SECONDS), 3),
        live_processes=demand.live,
        wanted_processes=wanted_processes(demand),
        paused=standing.paused,
        reason=f"{need.why}; {need.because}" if need.obstacle else need.why,
    )
