"""Rules about what the queues depend on: the server, providers, the fleet of workers. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from corral.observe.alerts.rule import Limits, Reading, Rule
from corral.observe.standing import ServerStanding, Standing

SERVER = "redis"
FLEET = "workers"


def _breaker_open(standing: Standing) -> Iterator[Reading]:
    for breaker in standing.breakers:
        held = f"{breaker.held:,} jobs are held"
        detail = f"{breaker.reason}; {held}" if breaker.reason else held
        yield Reading(breaker.name, breaker.state != "closed", detail)


def _memory(standing: Standing) -> Iterator[Reading]:
    server = standing.server
    if server is not None and server.memory_limit_bytes > 0:
        yield Reading(SERVER, server.memory_bytes / server.memory_limit_bytes)


def _persistence_off(standing: Standing) -> Iterator[Reading]:
    if standing.server is not None:
        yield Reading(SERVER, not _persists(standing.server))


def _persistence_failing(standing: Standing) -> Iterator[Reading]:
    if standing.server is not None:
        yield Reading(SERVER, standing.server.persistence_failing)


def _persists(server: ServerStanding) -> bool:
    return server.append_only or server.snapshots


def _version_skew(standing: Standing) -> Iterator[Reading]:
    versions = sorted({worker.version for worker in standing.workers})
    yield Reading(FLEET, max(0, len(versions) - 1), ", ".join(versions))


def _never(_: Standing) -> Iterator[Reading]:
    """Redis cannot be asked whether it is away: see `outage`."""
    return iter(())


REDIS_DOWN = Rule(
    name="redis-down",
    title="Redis does not answer",
    summary="Redis has not answered {subject} for {value}.",
    advice="Check the server and the network. Workers and the API reconnect by themselves; jobs that were "
    "added are safe as far as the server's persistence goes.",
    unit="seconds",
    about="host",
    limits=Limits(60, 0, "critical", for_seconds=0, keep_seconds=0),
    measure=_never,
)

SERVER_RULES = (
    Rule(
        name="breaker-open",
        title="A provider's jobs are held",
        summary="The breaker of {subject} is open: {detail}.",
        advice="Repair the key, the account or the provider, then corral breakers test {subject}. The held "
        "jobs run again when it closes.",
        unit="count",
        about="breaker",
        limits=Limits(0, 0, "critical", for_seconds=0, keep_seconds=30),
        measure=_breaker_open,
    ),
    Rule(
        name="redis-memory",
        title="Redis is nearly full",
        summary="Redis uses {value} of its memory limit, more than {fire}.",
        advice="Give it memory, or remove finished jobs: corral queues clean. A full server takes no jobs.",
        unit="share",
        about="redis",
        limits=Limits(0.9, 0.85, "critical"),
        measure=_memory,
    ),
    Rule(
        name="persistence-off",
        title="Redis keeps nothing on disk",
        summary="Redis writes neither an append-only file nor snapshots: a restart loses every job.",
        advice="Set appendonly yes on the server, or switch this rule off where that is meant.",
        unit="count",
        about="redis",
        limits=Limits(0, 0, keep_seconds=0),
        measure=_persistence_off,
    ),
    Rule(
        name="persistence-failing",
        title="Redis cannot write to disk",
        summary="The last write of Redis's append-only file or snapshot failed.",
        advice="Look for a full disk or missing rights in the server's log; jobs added since are lost by a "
        "restart.",
        unit="count",
        about="redis",
        limits=Limits(0, 0, "critical", for_seconds=30),
        measure=_persistence_failing,
    ),
    Rule(
        name="version-skew",
        title="Workers of several versions",
        summary="Live workers run {detail}.",
        advice="A rolling deploy takes a while; one that lasts was not finished. Restart the old workers.",
        unit="count",
        about="workers",
        limits=Limits(0, 0, "info", for_seconds=1800, keep_seconds=0),
        measure=_version_skew,
    ),
    REDIS_DOWN,
)
