"""GET /api/v1/redis: the server's health, and how much of it each queue takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.bullmq import server_reading, standings
from corral.bullmq.clock import server_seconds
from corral.bullmq.server_reading import MOST_OF_A_STATE, MOST_QUEUES, Told, Weight
from corral.doctor.server_facts import product_of
from corral.manage.queue_names import names_of
from corral.manage.service import Management, asks_for

#: Queues of one answer, which says how many there are.
MOST_ROWS = 500


class MemoryRow(msgspec.Struct, frozen=True, rename="camel"):
    """Bytes. limit 0: none. fragmentation: what the system gave for each byte used."""

    used: int
    peak: int
    limit: int
    machine: int
    fragmentation: float
    eviction_policy: str
    evicted_keys: int


class PersistenceRow(msgspec.Struct, frozen=True, rename="camel"):
    """failing: the last write of the append-only file or the last snapshot failed. Times in epoch seconds."""

    append_only: bool
    failing: bool
    last_snapshot: float | None
    changes_since: int
    loading: bool


class TrafficRow(msgspec.Struct, frozen=True, rename="camel"):
    """What it does. hits and misses: of reads, since it started."""

    commands_per_second: int
    input_kbps: float
    output_kbps: float
    hits: int
    misses: int
    cpu_seconds: float


class SlowRow(msgspec.Struct, frozen=True, rename="camel"):
    """A command that took long: its name, never its arguments."""

    at: float
    seconds: float
    command: str


class ClientKind(msgspec.Struct, frozen=True, rename="camel"):
    kind: str
    connections: int


class QueueWeight(msgspec.Struct, frozen=True, rename="camel"):
    """A queue: jobs counted exactly, bytes estimated from `sampled` of them; null: it was not weighed."""

    queue: str
    jobs: int
    bytes: int | None
    sampled: int


class RedisPage(msgspec.Struct, frozen=True, rename="camel"):
    """What may not be asked is null, and the command among `refused`. pingSeconds: as timed from here.

    slow: newest first, the last 50. queues: the heaviest first. exactness: how far to trust their bytes.
    whole: false until all that Redis holds was looked at once after a start: there may be more queues.
    """

    at: float
    product: str
    version: str
    uptime_seconds: int | None
    role: str | None
    replicas: int | None
    memory: MemoryRow | None
    persistence: PersistenceRow | None
    traffic: TrafficRow | None
    ping_seconds: list[float]
    slow: list[SlowRow] | None
    slow_in_all: int | None
    connected: int | None
    clients: list[ClientKind] | None
    keys: int | None
    queues: list[QueueWeight]
    queues_in_all: int
    whole: bool
    exactness: str
    refused: list[str]


@get("/redis", guards=[asks_for(Permission.WATCH)], tags=["redis"])
async def read_redis(request: Request[Any, Any, Any], management: NamedDependency[Management]) -> RedisPage:
    """How the server is. Eight round trips, bounded whatever it holds."""
    known, whole = await names_of(request.app, management).so_far()
    chosen = known[:MOST_ROWS]
    async with answering():
        told = await server_reading.ask(management.client, management.prefix)
        keys = [queue.keys() for queue in chosen]
        counts = [side.counts for side in await standings.read_sides(management.client, keys)]
        weights = await server_reading.weigh(management.client, keys, counts)
        now = await server_seconds(management.client)
    by_name = {queue.name: weight for queue, weight in zip(chosen, weights, strict=True)}
    return as_page(now, told, by_name, len(known), whole=whole)


def as_page(at: float, told: Told, weights: Mapping[str, Weight], in_all: int, *, whole: bool) -> RedisPage:
    """The answer. Pure."""
    info: Mapping[str, Any] = told.info or {}
    product, version = product_of(info)
    refused = list(told.refused)
    if weights and all(weight.bytes is None for weight in weights.values()):
        refused.append("MEMORY USAGE")
    known = told.info is not None
    return RedisPage(
        at=at,
        product=product,
        version=".".join(map(str, version or ())),
        uptime_seconds=_whole(info.get("uptime_in_seconds")) if known else None,
        role=str(info["role"]) if "role" in info else None,
        replicas=_whole(info.get("connected_slaves")) if known else None,
        memory=_memory(info) if known else None,
        persistence=_persistence(info) if known else None,
        traffic=_traffic(info) if known else None,
        ping_seconds=list(told.pings),
        slow=None if told.slow is None else [SlowRow(s.at, s.seconds, s.command) for s in told.slow],
        slow_in_all=told.slow_in_all,
        connected=_whole(info.get("connected_clients")) if known else None,
        clients=None
        if told.clients is None
        else [ClientKind(kind, number) for kind, number in sorted(told.clients.items())],
        keys=told.keys,
        queues=_heaviest(weights),
        queues_in_all=in_all,
        whole=whole,
        exactness=f"Jobs are counted. Bytes are estimated from up to {MOST_OF_A_STATE} jobs of each state of "
        f"the {MOST_QUEUES} queues with most jobs; without logs, flows' children and Corral's own notes.",
        refused=refused,
    )


def _heaviest(weights: Mapping[str, Weight]) -> list[QueueWeight]:
    rows = [QueueWeight(name, sum(w.counts.values()), w.bytes, w.sampled) for name, w in weights.items()]
    return sorted(rows, key=lambda row: (-(row.bytes or 0), -row.jobs, row.queue))


def _memory(info: Mapping[str, Any]) -> MemoryRow:
    return MemoryRow(
        used=_whole(info.get("used_memory")),
        peak=_whole(info.get("used_memory_peak")),
        limit=_whole(info.get("maxmemory")),
        machine=_whole(info.get("total_system_memory")),
        fragmentation=_number(info.get("mem_fragmentation_ratio")),
        eviction_policy=str(info.get("maxmemory_policy", "")),
        evicted_keys=_whole(info.get("evicted_keys")),
    )


def _persistence(info: Mapping[str, Any]) -> PersistenceRow:
    states = [info.get(name, "ok") for name in ("rdb_last_bgsave_status", "aof_last_write_status")]
    saved = _whole(info.get("rdb_last_save_time"))
    return PersistenceRow(
        append_only=bool(_whole(info.get("aof_enabled"))),
        failing=any(str(state) != "ok" for state in states),
        last_snapshot=float(saved) if saved else None,
        changes_since=_whole(info.get("rdb_changes_since_last_save")),
        loading=bool(_whole(info.get("loading"))),
    )


def _traffic(info: Mapping[str, Any]) -> TrafficRow:
    return TrafficRow(
        commands_per_second=_whole(info.get("instantaneous_ops_per_sec")),
        input_kbps=_number(info.get("instantaneous_input_kbps")),
        output_kbps=_number(info.get("instantaneous_output_kbps")),
        hits=_whole(info.get("keyspace_hits")),
        misses=_whole(info.get("keyspace_misses")),
        cpu_seconds=_number(info.get("used_cpu_sys")) + _number(info.get("used_cpu_user")),
    )


def _whole(value: Any) -> int:
    return round(_number(value))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
