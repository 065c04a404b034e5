"""GET /api/v1/workers and /api/v1/standing: the worker processes, the server, the breakers."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import msgspec
from litestar import get
from litestar.di import NamedDependency

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.bullmq import breaking, standings
from corral.bullmq.clock import server_seconds
from corral.manage.service import Management, asks_for
from corral.observe.stand import breaker_standing, read_workers, server_standing
from corral.observe.standing import WorkerStanding

Row = TypeVar("Row")


class RunningRow(msgspec.Struct, frozen=True, rename="camel"):
    """A job in a slot of a worker. `startedAt`: epoch seconds."""

    queue: str
    id: str
    name: str
    started_at: float


class PlacesRow(msgspec.Struct, frozen=True, rename="camel"):
    """What a worker has for one queue."""

    queue: str
    slots: int
    busy: int


class WorkerRow(msgspec.Struct, frozen=True, rename="camel"):
    """One worker process, as its last beat told.

    `jobs`: the twenty that run longest. `quiet`: it takes no new ones. `places`: its slots by queue.
    `replaces`: in whose place its supervisor started it, and why; empty: in nobody's. `done`: attempts since
    its start that completed or failed, for good or to be tried again; null: its version does not tell.
    `donePerSecond`: of them, in the last half minute; null: too early to tell.
    """

    name: str
    host: str
    pid: int
    version: str
    queues: list[str]
    slots: int
    busy: int
    jobs: list[RunningRow]
    memory_bytes: int
    cpu_percent: float
    loop_lag_seconds: float
    started_at: float
    beat_at: float
    quiet: bool
    places: list[PlacesRow]
    replaces: str
    done: int | None
    done_per_second: float | None


class WorkerList(msgspec.Struct, frozen=True, rename="camel"):
    """`at`: the server's time, epoch seconds."""

    at: float
    workers: list[WorkerRow]


class BreakerRow(msgspec.Struct, frozen=True, rename="camel"):
    """A provider's breaker: closed, open or half-open, and how many jobs it holds.

    cause: what it opened for, configuration, failures or operator; empty while it is closed.
    """

    name: str
    state: str
    held: int
    reason: str
    since: float | None
    cause: str


class ServerRow(msgspec.Struct, frozen=True, rename="camel"):
    """The Redis or Valkey server. `memoryLimitBytes` 0: no limit."""

    version: str
    memory_bytes: int
    memory_limit_bytes: int
    eviction_policy: str
    append_only: bool
    snapshots: bool
    persistence_failing: bool
    connected_clients: int


class Surroundings(msgspec.Struct, frozen=True, rename="camel"):
    """`server` is null where Redis does not let itself be asked (ACL)."""

    at: float
    server: ServerRow | None
    breakers: list[BreakerRow]
    workers: int


@get("/workers", guards=[asks_for(Permission.WATCH)], tags=["workers"])
async def list_workers(management: NamedDependency[Management]) -> WorkerList:
    """The worker processes that live. Two round trips. One that was killed is gone within 30 s."""
    async with answering():
        workers = await read_workers(management.client, management.prefix)
        now = await server_seconds(management.client)
    return WorkerList(now, [_worker(worker) for worker in workers])


@get("/standing", guards=[asks_for(Permission.WATCH)], tags=["workers"])
async def read_surroundings(management: NamedDependency[Management]) -> Surroundings:
    """What all queues share: the server and the breakers. Six round trips."""
    client, prefix = management.client, management.prefix
    async with answering():
        told = await standings.read_server(client)
        seen = await breaking.look(client, prefix, await breaking.known(client, prefix))
        workers = await read_workers(client, prefix)
        now = await server_seconds(client)
    return Surroundings(
        at=now,
        server=None if told is None else _as(ServerRow, server_standing(*told)),
        breakers=[_as(BreakerRow, breaker_standing(one)) for one in seen],
        workers=len(workers),
    )


def _worker(worker: WorkerStanding) -> WorkerRow:
    plain = {field.name: getattr(worker, field.name) for field in dataclasses.fields(worker)}
    plain["places"] = [
        PlacesRow(queue, slots, busy) for queue, (slots, busy) in sorted(worker.places.items())
    ]
    plain["jobs"] = [_as(RunningRow, job) for job in worker.jobs]
    return WorkerRow(**{**plain, "queues": list(worker.queues)})


def _as(row: type[Row], standing: object) -> Row:
    return msgspec.convert(standing, row, from_attributes=True)
