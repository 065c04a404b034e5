"""What a scenario is: peers that do the same work, the numbers they are compared by, and what is aimed at."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scale:
    """How much work a run does. `amount(full, quick)` picks, and `factor` shrinks for a test of the bench."""

    quick: bool
    factor: float = 1.0
    #: Round-trip time added between the measured programs and Redis, in milliseconds.
    rtt_ms: float = 0.0

    def amount(self, full: int, quick: int) -> int:
        return max(50, round((quick if self.quick else full) * self.factor))


#: One measurement of one peer: a fresh server, the work, its numbers by metric.
Measure = Callable[[Scale], dict[str, float]]


@dataclass(frozen=True)
class Peer:
    name: str
    measure: Measure


@dataclass(frozen=True)
class Metric:
    key: str
    label: str
    digits: int = 0


@dataclass(frozen=True)
class Target:
    """`ours / theirs` of one metric's medians, and the bound that the design sets (None: for information)."""

    metric: str
    ours: str
    theirs: str
    at_least: float | None = None
    at_most: float | None = None

    def met(self, ratio: float) -> bool | None:
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least is None or ratio >= self.at_least) and (
            self.at_most is None or ratio <= self.at_most
        )


@dataclass(frozen=True)
class Limit:
    """An absolute bound for one peer's median."""

    metric: str
    peer: str
    below: float | None = None
    at_least: float | None = None

    def met(self, value: float) -> bool:
        return (self.below is None or value < self.below) and (
            self.at_least is None or value >= self.at_least
        )

    @property
    def bound(self) -> str:
        return f"< {self.below:g}" if self.below is not None else f"≥ {self.at_least:g}"


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    peers: Sequence[Peer]
    metrics: Sequence[Metric]
    targets: Sequence[Target]
    limits: Sequence[Limit] = ()
    #: Whether added round-trip time means anything to it.
    over_network: bool = True
    #: What to know when reading the numbers, found out at run time (which load generator, …).
    notes: Callable[[], list[str]] = list


@dataclass(frozen=True)
class Spread:
    """One peer's metric over the rounds."""

    rounds: list[float]

    @property
    def least(self) -> float:
        return min(self.rounds)

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def most(self) -> float:
        return max(self.rounds)


@dataclass
class Result:
    """All measurements of a scenario: peer, metric, rounds."""

    scenario: Scenario
    rtt_ms: float = 0
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    #: What the scenario found out for the reader, when all rounds were over.
    notes: list[str] = field(default_factory=list)
    #: Peers that could not be measured, with the reason.
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.scenario.name}+{self.rtt_ms:g}ms" if self.rtt_ms else self.scenario.name

    @property
    def title(self) -> str:
        return (
            f"{self.scenario.title}, {self.rtt_ms:g} ms of round trip added"
            if self.rtt_ms
            else self.scenario.title
        )

    def add(self, peer: str, numbers: dict[str, float]) -> None:
        of_peer = self.values.setdefault(peer, {})
        for metric, number in numbers.items():
            of_peer.setdefault(metric, []).append(number)

    def spread(self, peer: str, metric: str) -> Spread | None:
        rounds = self.values.get(peer, {}).get(metric)
        return Spread(rounds) if rounds else None

    def ratio(self, target: Target) -> float | None:
        ours = self.spread(target.ours, target.metric)
        theirs = self.spread(target.theirs, target.metric)
        if ours is None or theirs is None or not theirs.median:
            return None
        return ours.median / theirs.median


def order(peers: Sequence[Peer], number: int) -> list[Peer]:
    """The peers of one round; who begins rotates, so that a drift of the machine hits all alike."""
    shift = number % len(peers)
    return [*peers[shift:], *peers[:shift]]
