"""What one worker process has counted so far, and sums of it over processes. Pure values that travel as JSON.

`Counted` only grows while its process lives, so the sum over all processes that ever lived never falls.
`Present` is how the process stands at one moment, and is of no meaning once it has ended.
Durations are seconds. A histogram has one count for each of BOUNDS and one for what is above them all.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

#: Upper bounds of the histograms, in seconds: from a job of milliseconds to one of an hour. Those that the
#: rules ask about (60 s) must be among them.
BOUNDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


class Histogram(msgspec.Struct, frozen=True):
    """How many took up to each bound (not those before it again), and how long all of them took together."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    seconds: float = 0.0

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(
            tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)), self.seconds + other.seconds
        )


class OfName(msgspec.Struct, frozen=True):
    """One job name of a queue. `outcomes`: ended attempts by how they ended."""

    outcomes: Mapping[str, int] = {}
    wait: Histogram = Histogram()
    duration: Histogram = Histogram()

    def __add__(self, other: OfName) -> OfName:
        return OfName(
            _sum(self.outcomes, other.outcomes), self.wait + other.wait, self.duration + other.duration
        )


class OfQueue(msgspec.Struct, frozen=True):
    """One queue. `stalled`: jobs that this process took back from dead or silent workers."""

    names: Mapping[str, OfName] = {}
    stalled: int = 0
    locks_lost: int = 0
    reconnects: int = 0

    def __add__(self, other: OfQueue) -> OfQueue:
        names = dict(self.names)
        for name, counted in other.names.items():
            names[name] = names[name] + counted if name in names else counted
        return OfQueue(
            names,
            self.stalled + other.stalled,
            self.locks_lost + other.locks_lost,
            self.reconnects + other.reconnects,
        )


class Counted(msgspec.Struct, frozen=True):
    """What a process has counted since its start, or several of them together."""

    queues: Mapping[str, OfQueue] = {}
    cpu_seconds: float = 0.0

    def __add__(self, other: Counted) -> Counted:
        queues = dict(self.queues)
        for name, counted in other.queues.items():
            queues[name] = queues[name] + counted if name in queues else counted
        return Counted(queues, self.cpu_seconds + other.cpu_seconds)


class Present(msgspec.Struct, frozen=True):
    """How a process stands now. `slots` and `busy` by queue; `loop_lag_seconds`: the longest stop of late."""

    slots: Mapping[str, int] = {}
    busy: Mapping[str, int] = {}
    loop_lag_seconds: float = 0.0

    def __add__(self, other: Present) -> Present:
        return Present(
            _sum(self.slots, other.slots),
            _sum(self.busy, other.busy),
            max(self.loop_lag_seconds, other.loop_lag_seconds),
        )


class ProcessNumbers(msgspec.Struct, frozen=True):
    """What a worker process writes down for its supervisor. `written_at` is in epoch seconds."""

    pid: int
    written_at: float
    counted: Counted = Counted()
    present: Present = Present()


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
