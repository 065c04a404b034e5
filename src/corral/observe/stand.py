"""How everything stands, read from Redis: the dataclasses of `standing` filled in.

Three round trips for any number of queues of one server and prefix, whatever they hold. Times are by the
server's clock. Workers look after what is read here (`worker/reporting.py`); with no worker running, counts,
ages and breakers are still true, and nothing recent is told.

`oldest_waiting_seconds` is the longest wait among: the jobs that run next and the one that came last, of the
waiting list; the first of the highest and of the lowest priority; the one parked longest in a group; the
delayed one that is due. So a low priority that starves shows, and a queue that is only ever filled in front
(LIFO); what lies in the middle does not. A wait begins when the job could have started; for one that ran
before, whose delay's end is not kept, with its last start, and only where no fresh job tells better.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import redis.asyncio as aioredis

from corral.bullmq import breaking, objectives, registry, standings
from corral.bullmq.breaking import Seen
from corral.bullmq.clock import server_ms
from corral.bullmq.standings import Limiter, Side
from corral.bullmq.statistics import Lately
from corral.observe.recent_minutes import RecentMinutes
from corral.observe.standing import (
    BreakerStanding,
    QueueStanding,
    Recent,
    ServerStanding,
    Standing,
    WorkerStanding,
)
from corral.policy import Objective, RateLimit
from corral.queue import Queue
from corral.stats import recent_of, window_seconds

#: An unknown name that no worker has met for so long is known by now, or its jobs are gone. They are looked
#: at every 30 s.
UNKNOWN_SECONDS = 120.0

#: What is recent.
RECENT_MINUTES = 5

_decode_worker = msgspec.json.Decoder(WorkerStanding).decode


async def read_workers(client: aioredis.Redis, prefix: str) -> tuple[WorkerStanding, ...]:
    """The worker processes that live, by name. Two round trips; three if some have gone since.

    One that ended is gone at once, one that was killed within 30 s. Raises what redis-py raises.
    """
    return tuple(
        worker for text in await registry.read_beats(client, prefix) if (worker := _worker(text)) is not None
    )


def _worker(text: bytes) -> WorkerStanding | None:
    try:
        return _decode_worker(text)
    except msgspec.DecodeError:  # of another version of Corral
        return None


async def read_standing(
    queues: Sequence[Queue],
    *,
    server: bool = True,
    minutes: int = RECENT_MINUTES,
    names: bool = True,
    kept: RecentMinutes | None = None,
) -> Standing:
    """How these queues stand, which are all of one server and prefix. Three round trips.

    minutes: how much is recent, 1 to 1,440; they are whole minutes up to now. 0: nothing recent is read.
    names: tell what each job name did, too; it is most of the work where there are many.
    server: ask the server for itself, too; `Standing.server` is None without it, or where INFO is denied.
    kept: what was read before, for who looks again and again.
    Raises RedisUnavailable.
    """
    if not queues:
        return Standing(at=time.time())
    first = queues[0]
    with first.redis_errors():
        client, prefix = first.client(), first.keys().prefix
        keys = [queue.keys() for queue in queues]
        now_ms = await server_ms(client)
        sides, lately, workers, (breakers, held), declared, told = await asyncio.gather(
            standings.read_sides(client, keys),
            (kept or RecentMinutes()).read(client, keys, minutes, now_ms, names=names),
            read_workers(client, prefix),
            _breakers(client, prefix),
            objectives.read(client, prefix),
            standings.read_server(client) if server else _nothing(),
        )
    return Standing(
        at=now_ms / 1000,
        queues={
            queue.name: _queue(
                queue,
                now_ms,
                side,
                held,
                _recents(of_queue, minutes, now_ms),
                declared.get(queue.name, queue.objective),
            )
            for queue, side, of_queue in zip(queues, sides, lately, strict=True)
        },
        workers=workers,
        breakers=tuple(breaker_standing(seen) for seen in breakers),
        server=None if told is None else server_standing(*told),
    )


def _recents(lately: Lately, minutes: int, now_ms: int) -> tuple[Recent, Mapping[str, Recent]]:
    seconds = window_seconds(minutes, now_ms)
    names = {name: recent_of(texts, seconds) for name, texts in lately.names.items()}
    return recent_of(lately.whole, seconds), names


async def _nothing() -> None:
    return None


async def _breakers(client: aioredis.Redis, prefix: str) -> tuple[list[Seen], Mapping[str, dict[str, int]]]:
    """All breakers that ever opened, and the jobs they hold by queue."""
    seen = await breaking.look(client, prefix, await breaking.known(client, prefix))
    holding = {one.breaker.name: one.held for one in seen if one.held}
    return seen, await standings.held_by_queue(client, prefix, holding)


def _limited_seconds(limiter: Limiter, declared: RateLimit | None) -> float:
    """What another process declares, and no live rate says, is not known here."""
    most = limiter.most or (declared.jobs if declared else 0)
    return max(0, limiter.left_ms) / 1000 if most and limiter.used >= most else 0.0


def _live_rate(limiter: Limiter) -> RateLimit | None:
    most, window_ms = limiter.most or 0, limiter.window_ms or 0
    return RateLimit(most, per=window_ms / 1000) if most > 0 and window_ms > 0 else None


def _queue(
    known: Queue,
    now_ms: int,
    side: Side,
    held: Mapping[str, dict[str, int]],
    recents: tuple[Recent, Mapping[str, Recent]],
    objective: Objective | None,
) -> QueueStanding:
    name = known.name
    return QueueStanding(
        queue=name,
        counts=side.counts,
        paused=side.paused,
        held={breaker: jobs[name] for breaker, jobs in held.items() if name in jobs},
        oldest_waiting_seconds=max(0, now_ms - side.since) / 1000 if side.since else None,
        recent=recents[0],
        names=recents[1],
        unknown_names=tuple(
            sorted(job for job, seen in side.unknown.items() if now_ms - seen < UNKNOWN_SECONDS * 1000)
        ),
        late_schedules={schedule: overdue / 1000 for schedule, overdue in side.late.items()},
        rate_limited_seconds=_limited_seconds(side.limiter, known.rate_limit),
        rate_limit=_live_rate(side.limiter),
        concurrency=side.limiter.concurrency or None,
        objective=objective,
    )


def breaker_standing(seen: Seen) -> BreakerStanding:
    breaker = seen.breaker
    return BreakerStanding(
        name=breaker.name,
        state=breaker.state,
        held=seen.held,
        reason=breaker.reason if breaker.state != "closed" else "",
        since=breaker.since or None,
        cause=breaker.cause if breaker.state != "closed" else "",
    )


def server_standing(info: Mapping[str, Any], save: str | None) -> ServerStanding:
    written = ("rdb_last_bgsave_status", "aof_last_bgrewrite_status", "aof_last_write_status")
    return ServerStanding(
        version=str(info.get("valkey_version") or info.get("redis_version") or ""),
        memory_bytes=int(info.get("used_memory", 0)),
        memory_limit_bytes=int(info.get("maxmemory", 0)),
        eviction_policy=str(info.get("maxmemory_policy", "")),
        append_only=bool(int(info.get("aof_enabled", 0))),
        # Where settings may not be read, snapshots that were made tell.
        snapshots=bool(save) if save is not None else int(info.get("rdb_saves", 0)) > 0,
        persistence_failing=any(str(info.get(name, "ok")) != "ok" for name in written),
        connected_clients=int(info.get("connected_clients", 0)),
    )
