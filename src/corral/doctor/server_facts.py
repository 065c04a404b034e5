"""From what the server told in its own words to `Server`. Pure."""

from __future__ import annotations

import re
from typing import Any

from corral.bullmq.inspecting import Clocks, Inspected, workers_of
from corral.doctor.facts import Server


def server_of(
    told: Inspected,
    prefix: str,
    *,
    clocks: Clocks | None = None,
    lets_anyone_in: bool | None = None,
) -> Server:
    """What INFO has wins over CONFIG GET: managed services often let only the first one through."""
    info, config = told.info, told.config
    product, version = product_of(info)
    return Server(
        product=product,
        version=version,
        refused=told.refused,
        lets_anyone_in=lets_anyone_in,
        append_only=_flag(info.get("aof_enabled")),
        fsync=config.get("appendfsync"),
        snapshots=snapshots_of(config["save"]) if "save" in config else None,
        append_failing=_not_ok(info.get("aof_last_write_status"), info.get("aof_last_bgrewrite_status")),
        snapshot_failing=_not_ok(info.get("rdb_last_bgsave_status")),
        used_bytes=_number(info.get("used_memory")),
        limit_bytes=_number(info.get("maxmemory")),
        machine_bytes=_number(info.get("total_system_memory")),
        eviction=info.get("maxmemory_policy") or config.get("maxmemory-policy"),
        clients=_number(info.get("connected_clients")),
        max_clients=_number(info.get("maxclients")) or _number(config.get("maxclients")),
        role=info.get("role"),
        replicas=replicas_of(info) if "role" in info else None,
        ahead_seconds=clocks.ahead_seconds if clocks else None,
        round_trip_seconds=clocks.round_trip_seconds if clocks else None,
        worker_hosts=None if told.clients is None else workers_of(told.clients, prefix),
    )


def product_of(info: Any) -> tuple[str, tuple[int, ...] | None]:
    """Which server, and its version. Valkey and its like name an old `redis_version` beside their own."""
    for product in ("valkey", "dragonfly", "keydb"):
        if f"{product}_version" in info:
            return product, numbers(str(info[f"{product}_version"]))
    return "redis", numbers(str(info.get("redis_version", "")))


def numbers(version: str) -> tuple[int, ...] | None:
    """`7.0.15` and `df-v1.2.3` as numbers."""
    found = re.search(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else None


def snapshots_of(save: str) -> tuple[tuple[int, int], ...]:
    """`3600 1 300 100` as (seconds, changes)."""
    parts = [int(part) for part in save.split() if part.isdecimal()]
    return tuple(zip(parts[::2], parts[1::2], strict=False))


def replicas_of(info: Any) -> tuple[int, ...]:
    """Seconds since each connected replica was last heard of."""
    rows = (value for name, value in info.items() if re.fullmatch(r"slave\d+", str(name)))
    return tuple(int(row.get("lag", 0)) for row in rows if isinstance(row, dict))


def _flag(value: Any) -> bool | None:
    return None if value is None else str(value) in ("1", "yes", "True")


def _not_ok(*values: Any) -> bool | None:
    told = [str(value) for value in values if value is not None]
    return any(value != "ok" for value in told) if told else None


def _number(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None
