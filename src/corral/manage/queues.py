"""GET /api/v1/queues …: how queues stand, and what they did by minute and hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from corral.api.auth import Permission
from corral.api.lookup import answering, looking_at_many
from corral.bullmq.discover import is_there
from corral.bullmq.statistics import COUNTED
from corral.errors import UnknownQueue
from corral.manage.queue_names import names_of
from corral.manage.service import Management, asks_for
from corral.manage.shared_look import SharedLook
from corral.observe.recent_minutes import RecentMinutes
from corral.observe.stand import read_standing
from corral.observe.standing import QueueStanding, Recent, Standing, WorkerStanding
from corral.policy import Objective
from corral.queue import Queue
from corral.scaling import fallback_objective
from corral.stats import Summary


class RecentRow(msgspec.Struct, frozen=True, rename="camel"):
    """What was done in the last `windowSeconds`. Times in seconds, null where nothing was timed."""

    window_seconds: float
    arrived: int
    completed: int
    failed: int
    cancelled: int
    retried: int
    stalled: int
    failure_rate: float
    per_second: float
    wait_p50: float | None
    wait_p95: float | None
    wait_p99: float | None
    run_p50: float | None
    run_p95: float | None
    run_p99: float | None


class ObjectiveRow(msgspec.Struct, frozen=True, rename="camel"):
    """Seconds: `age`, that no job should have waited longer than; `drain`, that all should be started in."""

    age: float
    drain: float


class QueueRow(msgspec.Struct, frozen=True, rename="camel"):
    """One queue. `states`: jobs by state; those that a breaker holds are `held`, and not among the delayed.

    `drainSeconds`: how long until nothing waits, at the recent rate; null: it moves too little to tell.
    `heldSeconds`: since when its longest open breaker holds jobs; `oldestWaitingSeconds` is of the others.
    `rateLimitedSeconds`: until a job may start that its rate limit holds back. `objective`: what its workers
    declare, else what this process does, else that of the settings. `busy` of its workers' `slots` run a job.
    """

    queue: str
    paused: bool
    states: dict[str, int]
    held: dict[str, int]
    oldest_waiting_seconds: float | None
    drain_seconds: float | None
    workers: int
    recent: RecentRow
    names: dict[str, RecentRow]
    unknown_names: list[str]
    late_schedules: dict[str, float]
    held_seconds: float
    rate_limited_seconds: float
    objective: ObjectiveRow
    slots: int
    busy: int


class QueueList(msgspec.Struct, frozen=True, rename="camel"):
    """`at`: the server's time, epoch seconds. `whole`: false until all that Redis holds was looked at once
    after a start: there may be more queues.
    """

    at: float
    whole: bool
    queues: list[QueueRow]


class SpanRow(msgspec.Struct, frozen=True, rename="camel"):
    """What was done in `seconds` from `at` on."""

    at: float
    seconds: float
    arrived: int
    started: int
    completed: int
    failed: int
    cancelled: int
    retried: int
    put_back: int
    stalled: int
    lost_locks: int
    reconnects: int
    wait_p50: float | None
    wait_p95: float | None
    wait_p99: float | None
    run_p50: float | None
    run_p95: float | None
    run_p99: float | None


class DepthRow(msgspec.Struct, frozen=True, rename="camel"):
    """Jobs by state in one minute, or the most of each in an hour, which began at `at`.

    `oldestSeconds`: how long the oldest had waited that could start; 0: none waited.
    """

    at: float
    waiting: int
    active: int
    delayed: int
    held: int
    failed: int
    oldest_seconds: float


class MarkRow(msgspec.Struct, frozen=True, rename="camel"):
    """When the first worker of a release came."""

    release: str
    at: float


class StatsPage(msgspec.Struct, frozen=True, rename="camel"):
    """Oldest span first; the last one is not over. `names`: job names, and when they last did something.

    `depths`: of the queue as a whole, in the spans' minutes or hours; those that nobody saw are left out.
    """

    queue: str
    name: str | None
    spans: list[SpanRow]
    names: dict[str, float]
    marks: list[MarkRow]
    depths: list[DepthRow]


@get("/queues", guards=[asks_for(Permission.WATCH)], tags=["queues"])
async def list_queues(request: Request[Any, Any, Any], management: NamedDependency[Management]) -> QueueList:
    """All queues, by name: the declared ones, those that workers run, and those found in Redis.

    Four round trips. A queue that nobody here declares is found within 15 s, later where Redis holds a
    million keys and more: see `queue_names`.
    """
    shared: SharedLook[QueueList] = request.app.state.setdefault("queues_look", SharedLook())
    return await shared.look(lambda: _look(request, management))


async def _look(request: Request[Any, Any, Any], management: Management) -> QueueList:
    queues, whole = await names_of(request.app, management).so_far()
    async with looking_at_many(management.client):
        kept = request.app.state.setdefault("queues_minutes", RecentMinutes())
        standing = await read_standing(queues, server=False, kept=kept)
    rows = queue_rows(standing, management)
    return QueueList(standing.at, whole, [rows[name] for name in sorted(rows)])


async def known_queues(request: Request[Any, Any, Any], management: Management) -> list[Queue]:
    """The declared queues and those found in Redis lately. No round trip but for the first time."""
    return await names_of(request.app, management).queues()


@get("/queues/{queue:str}", guards=[asks_for(Permission.WATCH)], tags=["queues"])
async def read_queue(management: NamedDependency[Management], queue: FromPath[str]) -> QueueRow:
    """One queue. Three round trips, four of one that nothing is in. 404: no queue of this name is known.

    Known is a queue that this process declares, that a worker serves, or of which Redis has anything.
    """
    chosen = management.queue(queue)
    async with answering():
        standing = await read_standing([chosen], server=False)
        one = standing.queues[chosen.name]
        row = queue_rows(standing, management)[chosen.name]
        seen = row.workers or one.objective or any(one.counts.values()) or queue in management.known.declared
        if not seen and not await is_there(chosen.client(), chosen.keys()):
            raise UnknownQueue(
                f"No queue of the name {queue} is known. It appears once it has a job, or a worker serves it."
            )
    return row


@get("/queues/{queue:str}/stats", guards=[asks_for(Permission.WATCH)], tags=["queues"])
async def read_stats(
    management: NamedDependency[Management],
    queue: FromPath[str],
    minutes: FromQuery[int | None] = None,
    hours: FromQuery[int | None] = None,
    name: FromQuery[str | None] = None,
) -> StatsPage:
    """What a queue did: the last `minutes` (60 without a number, at most 1,440) or `hours` (at most 2,160).

    name: of one job name alone. Four round trips.
    """
    chosen = management.queue(queue)
    async with answering():
        spans = await chosen.stats.summaries(minutes=minutes, hours=hours, name=name)
        names = await chosen.stats.names()
        marks = await chosen.stats.marks()
        depths = [] if name else await chosen.stats.depths(minutes=minutes, hours=hours)
    first = spans[0].at
    return StatsPage(
        chosen.name,
        name,
        [_span_row(span) for span in spans],
        names,
        [MarkRow(mark.release, mark.at) for mark in marks if mark.at >= first],
        [msgspec.convert(depth, DepthRow, from_attributes=True) for depth in depths],
    )


class _Served(msgspec.Struct):
    """A queue's workers, their slots for it, and those that run a job."""

    workers: int = 0
    slots: int = 0
    busy: int = 0


def _served(workers: Sequence[WorkerStanding]) -> Mapping[str, _Served]:
    found: defaultdict[str, _Served] = defaultdict(_Served)
    for worker in workers:
        for name in dict.fromkeys(worker.queues):
            found[name].workers += 1
        for name, (slots, busy) in worker.places.items():
            found[name].slots += slots
            found[name].busy += busy
    return found


def queue_rows(standing: Standing, management: Management) -> dict[str, QueueRow]:
    """All of them, by name."""
    served, nobody = _served(standing.workers), _Served()
    fallback = fallback_objective(management.settings)
    return {
        name: _queue_row(one, standing, one.objective or fallback, served.get(name, nobody))
        for name, one in standing.queues.items()
    }


def _queue_row(one: QueueStanding, standing: Standing, objective: Objective, served: _Served) -> QueueRow:
    held = sum(one.held.values())
    states = {**one.counts, "held": held}
    states["delayed"] = max(0, states.get("delayed", 0) - held)
    since = [b.since for b in standing.breakers if b.name in one.held and b.since and b.state != "closed"]
    return QueueRow(
        queue=one.queue,
        paused=one.paused,
        states=states,
        held=dict(one.held),
        oldest_waiting_seconds=one.oldest_waiting_seconds,
        drain_seconds=one.drain_seconds,
        workers=served.workers,
        recent=_recent_row(one.recent),
        names={name: _recent_row(recent) for name, recent in one.names.items()},
        unknown_names=list(one.unknown_names),
        late_schedules=dict(one.late_schedules),
        held_seconds=max(0.0, standing.at - min(since)) if since else 0.0,
        rate_limited_seconds=one.rate_limited_seconds,
        objective=ObjectiveRow(age=objective.age, drain=objective.drain),
        slots=served.slots,
        busy=served.busy,
    )


def _recent_row(recent: Recent) -> RecentRow:
    return msgspec.convert(recent, RecentRow, from_attributes=True)


#: Where a row's numbers are among those that are counted.
_counted = itemgetter(
    *map(COUNTED.index, ("arrived", "started", "completed", "failed", "cancelled", "retried", "put_back",
                         "stalled", "lost_locks", "reconnects"))
)  # fmt: skip


def _span_row(summary: Summary) -> SpanRow:
    at, seconds, sums = summary
    return SpanRow(at, seconds, *_counted(sums.counts), *sums.wait, *sums.run)
