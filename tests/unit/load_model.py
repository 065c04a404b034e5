"""A host with worker processes and one queue under a load of a given shape, second by second. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from corral.observe.standing import QueueStanding, Recent
from corral.policy import Objective, RateLimit
from corral.worker.autoscale import Bounds, Decision, Demand, Pace, Past, Situation, decide

#: (seconds, value): so long, this value.
Shape = Sequence[tuple[int, float]]

LOOK_SECONDS = 5
START_SECONDS = 3
RATE_SECONDS = 15


@dataclass(kw_only=True)
class Model:
    """`arrivals`: jobs a second; `work`: seconds a job takes; `paused`, `held`: 1 while it is so."""

    arrivals: Shape
    work: Shape
    paused: Shape = ((1, 0),)
    held: Shape = ((1, 0),)
    bounds: Bounds = field(default_factory=lambda: Bounds(least=1, most=16))
    pace: Pace = field(default_factory=Pace)
    objective: Objective = field(default_factory=Objective)
    slots: int = 20
    concurrency: int | None = None
    rate_limit: RateLimit | None = None
    room: int = 64

    def run(self) -> Run:
        run = Run(objective=self.objective)
        seconds = sum(length for length, _ in self.arrivals)
        processes, live, past = self.bounds.least, float(self.bounds.least), Past()
        starting: deque[tuple[int, int]] = deque()
        backlog, delayed = 0.0, 0.0
        waiting_since: deque[tuple[int, float]] = deque()
        ended: deque[float] = deque(maxlen=RATE_SECONDS)
        for second in range(seconds):
            while starting and starting[0][0] <= second:
                live = float(starting.popleft()[1])
            new = at(self.arrivals, second)
            if at(self.held, second):  # a worker takes each job and the breaker holds it at once
                delayed += new
                new = 0.0
            elif delayed:
                new, delayed = new + min(delayed, 10), max(0.0, delayed - 10)
            backlog += new
            if new:
                waiting_since.append((second, new))
            slots = self.slots * live
            if self.concurrency is not None:
                slots = min(slots, self.concurrency)
            can = slots / at(self.work, second)
            if self.rate_limit is not None:
                can = min(can, self.rate_limit.jobs / self.rate_limit.per)
            if at(self.paused, second):
                can = 0.0
            done = min(backlog, can)
            active = min(slots, done * at(self.work, second))
            backlog -= done
            _take(waiting_since, done)
            ended.append(done / max(1.0, live))
            oldest = float(second - waiting_since[0][0]) if backlog >= 1 else None
            standing = QueueStanding(
                queue="load",
                counts={"waiting": int(backlog), "active": round(active), "delayed": int(delayed)},
                paused=bool(at(self.paused, second)),
                held={"acme": int(delayed)} if delayed else {},
                oldest_waiting_seconds=oldest,
                # As the supervisor measures it: of one process, times the processes there are.
                recent=Recent(window_seconds=len(ended), completed=round(sum(ended) * processes)),
            )
            run.note(second, processes, standing)
            if second % LOOK_SECONDS:
                continue
            demand = Demand(
                standing=standing,
                objective=self.objective,
                slots=self.slots,
                live=processes,
                concurrency=self.concurrency,
                rate_limit=self.rate_limit,
            )
            now = Situation(at=second, processes=processes, demands=(demand,), room=self.room)
            decision, past = decide(now, self.bounds, self.pace, past)
            run.decisions.append((second, decision))
            processes = decision.after
            if processes > live:
                starting.append((second + START_SECONDS, processes))
            elif processes < live:
                starting.clear()
                live = float(processes)
        return run


@dataclass
class Run:
    """What came of it."""

    objective: Objective
    decisions: list[tuple[int, Decision]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)

    def note(self, second: int, processes: int, standing: QueueStanding) -> None:
        self.counts.append(processes)
        drain, age = standing.drain_seconds, standing.oldest_waiting_seconds or 0
        if drain is None or drain > self.objective.drain or age > self.objective.age:
            self.missed.append(second)

    @property
    def changes(self) -> list[tuple[int, Decision]]:
        return [(second, each) for second, each in self.decisions if each.after != each.before]

    @property
    def news(self) -> list[Decision]:
        return [each for _, each in self.decisions if each.news]

    @property
    def turns(self) -> int:
        """How often the direction of change turned round."""
        ups = [each.after > each.before for _, each in self.changes]
        return sum(a != b for a, b in pairwise(ups))

    def decisions_between(self, start: int, end: int) -> int:
        return sum(start <= second < end for second, _ in self.decisions)


def at(shape: Shape, second: int) -> float:
    """The last part lasts for ever."""
    for length, value in shape:
        if second < length:
            return value
        second -= length
    return shape[-1][1]


def _take(waiting_since: deque[tuple[int, float]], done: float) -> None:
    while done > 0 and waiting_since:
        second, jobs = waiting_since[0]
        if jobs > done:
            waiting_since[0] = (second, jobs - done)
            return
        waiting_since.popleft()
        done -= jobs
