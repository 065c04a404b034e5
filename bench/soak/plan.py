"""Which faults come when: drawn from the seed, before anything starts. Pure: the same seed, the same plan.

Faults of one lane follow one another, lanes run side by side: a worker may be killed while Redis is frozen. A
replay brings the same faults at the same times; how the processes fall in with them is the machine's.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class World(StrEnum):
    #: One server that writes each command to disk before it answers.
    SINGLE = "single"
    #: A master with a replica, watched by three Sentinels.
    SENTINEL = "sentinel"


class FaultKind(StrEnum):
    WORKER_KILL = "worker killed"
    WORKER_FREEZE = "worker frozen"
    WORKER_STOP = "worker told to stop"
    WORKER_CUT = "worker cut off"
    REDIS_KILL = "Redis killed"
    REDIS_FREEZE = "Redis frozen"
    FAILOVER_KILL = "master killed"
    FAILOVER_FREEZE = "master frozen"
    FAILOVER_PLANNED = "master changed by plan"
    PRODUCER_CUT = "producer cut off"
    CLOCK = "producer's clock wrong"
    API_RESTART = "API restarted"
    API_KILL = "API killed"
    DEPLOY = "new release rolled out"


@dataclass(frozen=True)
class Fault:
    """`at` and `seconds` (how long it is left alone) in seconds; `amount`: what the kind makes of it."""

    at: float
    lane: str
    kind: FaultKind
    seconds: float = 0.0
    #: Of a clock: seconds that it is wrong by.
    amount: float = 0.0


WORKERS = 3

#: No fault begins in the first seconds, in which processes start, nor in the last.
CALM_SECONDS = 4.0

_WORKER = (FaultKind.WORKER_KILL, FaultKind.WORKER_FREEZE, FaultKind.WORKER_STOP)
_SERVER = {
    World.SINGLE: (FaultKind.REDIS_KILL, FaultKind.REDIS_FREEZE),
    World.SENTINEL: (FaultKind.FAILOVER_KILL, FaultKind.FAILOVER_FREEZE, FaultKind.FAILOVER_PLANNED),
}
#: Seconds between the faults of a lane, on average. A failover ends when the old master is a replica again.
_EVERY = {"server": 25.0, "worker": 20.0, "api": 30.0, "producer": 30.0, "deploy": 60.0}
_EVERY_FAILOVER = 50.0


def draw(seed: int, seconds: float, world: World) -> tuple[Fault, ...]:
    """The faults of a run of so many seconds, in order of time.

    A proxy stands between client and server in the world with one server alone: Sentinel's clients learn
    their master's address from Sentinel. Short runs have their faults closer together.
    """
    dice = random.Random(f"{seed} {world}")
    behind_proxy = world is World.SINGLE
    cut = (FaultKind.WORKER_CUT,) if behind_proxy else ()
    kinds: dict[str, Sequence[FaultKind]] = {
        "server": _SERVER[world],
        "worker": (*_WORKER, *cut),
        "api": (FaultKind.API_RESTART, FaultKind.API_KILL),
        "producer": (FaultKind.CLOCK, *((FaultKind.PRODUCER_CUT,) if behind_proxy else ())),
        "deploy": (FaultKind.DEPLOY,),
    }
    lanes = [("server", "server"), ("api", "api"), ("producer", "producer"), ("deploy", "deploy")]
    lanes += [("worker", f"worker {slot}") for slot in range(WORKERS)]
    longest = min(15.0, seconds / 6)
    times: list[tuple[float, str, str]] = []
    for group, lane in lanes:
        every = _EVERY_FAILOVER if group == "server" and not behind_proxy else _EVERY[group]
        every = min(every, seconds / 3)
        at = CALM_SECONDS + dice.uniform(0, every / 2)
        while at + longest < seconds - CALM_SECONDS:
            times.append((at, group, lane))
            at += dice.uniform(max(longest, every / 2), max(longest, every * 1.5))
    decks = {group: _dealt(of_group, dice) for group, of_group in kinds.items()}
    return tuple(_fault(at, lane, next(decks[group]), longest, dice) for at, group, lane in sorted(times))


def _dealt(kinds: Sequence[FaultKind], dice: random.Random) -> Iterator[FaultKind]:
    """Kinds as cards are dealt: none comes again before all have come."""
    while True:
        deck = list(kinds)
        dice.shuffle(deck)
        yield from deck


def _fault(at: float, lane: str, kind: FaultKind, longest: float, dice: random.Random) -> Fault:
    share = dice.random()
    amount = 0.0
    match kind:
        case FaultKind.WORKER_FREEZE | FaultKind.WORKER_CUT:  # both sides of the lock's ten seconds
            seconds = 1 + share * (longest - 1)
        case FaultKind.REDIS_FREEZE | FaultKind.PRODUCER_CUT | FaultKind.CLOCK:
            seconds = 1 + share * min(8.0, longest - 1)
        case FaultKind.REDIS_KILL | FaultKind.FAILOVER_KILL | FaultKind.FAILOVER_FREEZE:
            seconds = 0.2 + share * min(5.0, longest - 1)
        case FaultKind.WORKER_KILL | FaultKind.API_RESTART | FaultKind.API_KILL:
            seconds = share * 2
        case _:
            seconds = 0.0
    if kind is FaultKind.CLOCK:
        amount = dice.choice((-3600.0, 3600.0))
    return Fault(round(at, 2), lane, kind, round(seconds, 2), amount)
