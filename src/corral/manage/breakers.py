"""Breakers: list, show with the jobs they hold, try a key, resume, hold. docs/engine/breakers.md."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.breakers import Breakers, BreakerStatus
from corral.manage.service import Actor, Management, asks_for
from corral.providers.trying import try_key

#: Seconds for reading many held jobs; each page is bounded.
HELD_SECONDS = 3.0


class BreakerRow(msgspec.Struct, frozen=True, rename="camel"):
    """One breaker. Times are in epoch seconds.

    cause: what it opened for, last: configuration, failures or operator; empty if it never opened.
    since: from when on it is in this state. job: who met it first, queue:id, or empty.
    held: jobs that wait for it. nextProbe: when one of them is tried; null: nobody will be.
    rate: held jobs a second that run again after it has closed.
    """

    name: str
    state: Literal["closed", "open", "half-open"]
    since: float | None
    cause: str
    reason: str
    job: str
    held: int
    failed_probes: int
    next_probe: float | None
    rate: float


class HeldJobRow(msgspec.Struct, frozen=True, rename="camel"):
    """A job that a breaker holds."""

    queue: str
    id: str


class BreakerDetail(msgspec.Struct, frozen=True, rename="camel"):
    """A breaker with some of the jobs it holds, those whose hold ends first at the front.

    next: give it as `start` to go on; null at the end.
    """

    breaker: BreakerRow
    jobs: list[HeldJobRow]
    next: int | None


class HeldRow(msgspec.Struct, frozen=True, rename="camel"):
    """A held job of a queue. Times are in epoch seconds; null: it was let go as we looked.

    since: when its hold began. until: when it runs a last time, if the breaker does not close before.
    """

    breaker: str
    id: str
    name: str
    since: float | None
    until: float | None


class HeldRows(msgspec.Struct, frozen=True, rename="camel"):
    """A page, which may be short; `next`: give it as `after` to go on, null at the end."""

    jobs: list[HeldRow]
    next: str | None


class KeyTrial(msgspec.Struct, frozen=True, rename="camel"):
    """Whether a provider takes our key.

    kind: ok; misconfigured: it does not, or there is none; unavailable: nobody can say now.
    """

    provider: str
    ok: bool
    kind: Literal["ok", "misconfigured", "unavailable"]
    reason: str | None
    seconds: float


class Resume(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """rate: held jobs a second over all workers, above 0; null: CORRAL_BREAKER_RATE."""

    rate: float | None = None


class Hold(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """reason: why, for those who see it."""

    reason: str


@get("/breakers", guards=[asks_for(Permission.WATCH)], tags=["breakers"])
async def list_breakers(management: NamedDependency[Management]) -> list[BreakerRow]:
    """All breakers that ever opened, by name."""
    async with answering(HELD_SECONDS):
        return [_row(status) for status in await _breakers(management).all()]


@get("/breakers/{name:str}", guards=[asks_for(Permission.WATCH)], tags=["breakers"])
async def show_breaker(
    management: NamedDependency[Management],
    name: FromPath[str],
    start: Annotated[int, QueryParameter(ge=0)] = 0,
    count: Annotated[int, QueryParameter(ge=0, le=1_000)] = 100,
) -> BreakerDetail:
    """One breaker; one that never opened is closed."""
    async with answering(HELD_SECONDS):
        status = await _breakers(management).get(name)
        held = await _breakers(management).held(name, start, count) if count else []
    jobs = [HeldJobRow(queue=job.queue, id=job.id) for job in held]
    more = bool(count) and start + len(jobs) < status.held
    return BreakerDetail(breaker=_row(status), jobs=jobs, next=start + len(jobs) if more and jobs else None)


@post("/breakers/{name:str}/test", guards=[asks_for(Permission.OPERATE)], tags=["breakers"], status_code=200)
async def try_breaker(name: FromPath[str]) -> KeyTrial:
    """Ask the provider whether it takes our key, with the settings as they are now. Changes nothing.

    Within ten seconds. The status is 200 whatever it says, 422 if no key of this name can be tested.
    """
    tried = await try_key(name)
    return KeyTrial(
        provider=tried.provider, ok=tried.ok, kind=tried.kind, reason=tried.reason, seconds=tried.seconds
    )


@post(
    "/breakers/{name:str}/resume", guards=[asks_for(Permission.OPERATE)], tags=["breakers"], status_code=200
)
async def resume_breaker(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    name: FromPath[str],
    data: JSONBody[Resume],
) -> BreakerRow:
    """Close a breaker now: its held jobs run again. For one that is closed, another pace."""
    async with answering():
        return _row(await _breakers(management, actor).resume(name, rate=data.rate))


@post("/breakers/{name:str}/hold", guards=[asks_for(Permission.OPERATE)], tags=["breakers"], status_code=200)
async def hold_breaker(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    name: FromPath[str],
    data: JSONBody[Hold],
) -> BreakerRow:
    """Open a breaker by hand: jobs that need it are held until resume; it sends no probes."""
    async with answering():
        return _row(await _breakers(management, actor).hold(name, data.reason))


@get("/queues/{queue:str}/held", guards=[asks_for(Permission.WATCH)], tags=["breakers"])
async def list_held(
    management: NamedDependency[Management],
    queue: FromPath[str],
    after: FromQuery[str] = "",
    count: Annotated[int, QueryParameter(ge=1, le=1_000)] = 100,
) -> HeldRows:
    """Jobs of a queue that wait for a provider's breaker to close: neither paused nor delayed."""
    name = management.queue(queue).name
    async with answering(HELD_SECONDS):
        page = await _breakers(management).held_in(name, after=after, count=count)
    return HeldRows(jobs=[HeldRow(**asdict(job)) for job in page.jobs], next=page.next)


#: All of them, for `routes`.
BREAKER_HANDLERS = [
    list_breakers,
    show_breaker,
    try_breaker,
    resume_breaker,
    hold_breaker,
    list_held,
]


def _breakers(management: Management, actor: Actor | None = None) -> Breakers:
    settings = management.settings
    name = actor.name if actor is not None else None
    return Breakers(settings.redis_url, management.prefix, actor=name, settings=settings)


def _row(status: BreakerStatus) -> BreakerRow:
    return BreakerRow(**asdict(status))
