"""How worker processes were scaled, and what each queue asks for now: for operators and outside autoscalers.

Supervisors decide (`worker/scaling.py`), by the rules of `worker/autoscale.py`; decisions are kept in Redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import redis.asyncio as aioredis

from corral.bullmq import deciding
from corral.observe.stand import read_standing
from corral.observe.standing import WorkerStanding
from corral.policy import Objective
from corral.queue import Queue
from corral.worker.autoscale import Demand
from corral.worker.batches import slots_of

if TYPE_CHECKING:
    from corral.settings import Settings

#: Of `corral worker`, where no worker tells.
DEFAULT_SLOTS = 20


class Inputs(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a decision saw of a queue. Durations in seconds; None: unknown, or nothing waits."""

    waiting: int
    active: int
    delayed: int = 0
    held: int = 0
    drain_seconds: float | None = None
    oldest_seconds: float | None = None
    per_second: float = 0.0
    slots: int = 0
    live_processes: int = 0
    paused: bool = False


class ScalingDecision(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One decision of one supervisor: `before` to `after` processes, or why it stayed at `before`.

    `obstacle` is empty for a change; else frozen, maximum, memory, cooldown, paused, held, rate limit,
    concurrency or slots free. `queue`: the one that decided it; empty: none did. `at`: epoch seconds.
    """

    at: float = 0.0
    host: str
    pid: int
    before: int
    after: int
    reason: str
    queue: str
    obstacle: str
    room: int
    inputs: Mapping[str, Inputs]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ScalingDecision).decode


async def keep_decision(client: aioredis.Redis, prefix: str, decision: ScalingDecision) -> None:
    """Add it to those that are kept. One round trip. Raises what redis-py raises."""
    await deciding.keep(client, prefix, _encode(decision))


async def scaling_decisions(
    client: aioredis.Redis, prefix: str, *, count: int = 100
) -> list[ScalingDecision]:
    """The newest decisions of all supervisors, newest first. One round trip. Raises what redis-py raises."""
    found = []
    for at, text in await deciding.newest(client, prefix, count):
        try:
            found.append(msgspec.structs.replace(_decode(text), at=at))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # of another version of Corral
    return found


async def read_demands(
    queues: Sequence[Queue],
    settings: Settings,
    *,
    slots: Mapping[str, int] | None = None,
) -> tuple[list[Demand], tuple[WorkerStanding, ...]]:
    """What these queues, of one server and prefix, ask for, and the workers there.

    slots: of one process, by queue; else what its workers tell. Six round trips, most of them at once.
    Raises RedisUnavailable.
    """
    standing, limits, limited = await asyncio.gather(
        read_standing(queues, server=False),
        asyncio.gather(*(queue.limits.get() for queue in queues)),
        asyncio.gather(*(queue.limits.rate_limited_for() for queue in queues)),
    )
    demands = []
    for queue, live_limits, seconds in zip(queues, limits, limited, strict=True):
        workers = [w for w in standing.workers if queue.name in w.queues and not w.quiet]
        own = (slots or {}).get(queue.name)
        demands.append(
            Demand(
                standing=standing.queues[queue.name],
                objective=objective_of(queue, settings),
                slots=own or _slots(queue, workers),
                live=len(workers),
                concurrency=live_limits.concurrency,
                rate_limit=live_limits.rate or queue.rate_limit,
                rate_limited_seconds=seconds,
            )
        )
    return demands, standing.workers


def objective_of(queue: Queue, settings: Settings) -> Objective:
    """The queue's own, or else that of the settings."""
    return queue.objective or fallback_objective(settings)


def fallback_objective(settings: Settings) -> Objective:
    """Of the queues that declare none."""
    return Objective(drain=settings.scale_drain_seconds, age=settings.scale_age_seconds)


def inputs_of(demand: Demand) -> Inputs:
    """What is kept of it."""
    standing = demand.standing
    return Inputs(
        waiting=standing.waiting,
        active=standing.counts.get("active", 0),
        delayed=standing.counts.get("delayed", 0),
        held=sum(standing.held.values()),
        drain_seconds=_rounded(standing.drain_seconds),
        oldest_seconds=_rounded(standing.oldest_waiting_seconds),
        per_second=round(standing.recent.per_second, 2),
        slots=demand.slots,
        live_processes=demand.live,
        paused=standing.paused,
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _slots(queue: Queue, workers: Sequence[WorkerStanding]) -> int:
    """A worker tells its slots for all its queues together, so only one with this queue alone tells."""
    alone = [worker.slots for worker in workers if worker.queues == (queue.name,)]
    return max(1, round(sum(alone) / len(alone))) if alone else slots_of(queue, DEFAULT_SLOTS)
