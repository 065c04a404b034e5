"""How the service looked from outside: gaps without an effect, and how long each fault was felt. Pure."""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.soak.ledger import Book, Run, Trouble
from bench.soak.numbers import Kind, kind
from bench.soak.plan import FaultKind

#: Of these, what counts is when the last job that ran in the process then had its effect.
_OF_A_PROCESS = (
    FaultKind.WORKER_KILL,
    FaultKind.WORKER_FREEZE,
    FaultKind.WORKER_STOP,
    FaultKind.WORKER_CUT,
)
#: Of these, when the next job began that had an effect.
_OF_REDIS = (
    FaultKind.REDIS_KILL,
    FaultKind.REDIS_FREEZE,
    FaultKind.FAILOVER_KILL,
    FaultKind.FAILOVER_FREEZE,
    FaultKind.FAILOVER_PLANNED,
)
#: Of these, when the next add of that producer was answered.
_OF_A_PRODUCER = {
    FaultKind.API_RESTART: "http",
    FaultKind.API_KILL: "http",
    FaultKind.PRODUCER_CUT: "python",
}


@dataclass(frozen=True)
class Gap:
    """Seconds in which nothing happened, and what was wrong then."""

    seconds: float
    at: float
    during: tuple[str, ...] = ()


def longest_gap(times: Sequence[float], troubles: Sequence[Trouble]) -> Gap:
    """Between two neighbours of `times` (sorted)."""
    if len(times) < 2:
        return Gap(0, times[0] if times else 0)
    seconds, start = max((after - before, before) for before, after in pairwise(times))
    during = {
        trouble.kind
        for trouble in troubles
        if trouble.began <= start + seconds and trouble.ended >= start - 1
    }
    return Gap(seconds, start, tuple(sorted(during)))


@dataclass(frozen=True)
class Recovery:
    """Seconds, over all faults of one kind. None where none of them was felt."""

    kind: str
    count: int
    median: float | None
    longest: float | None


def recoveries(book: Book) -> list[Recovery]:
    """Of a process: from the fault to the effect of the last job that ran in it. Of Redis, API and network:
    from the end of the fault to the next job begun, or to the next add answered."""
    found: dict[str, list[float]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    begun = sorted(run.began for run in book.effects)
    answers = {
        producer: sorted(a.at for a in book.answers if a.producer == producer and a.job is not None)
        for producer in {answer.producer for answer in book.answers}
    }
    for trouble in book.troubles:
        counts[trouble.kind] += 1
        if trouble.kind in _OF_A_PROCESS:
            seconds = _last_of_its_jobs(trouble, book)
        elif trouble.kind in _OF_REDIS:
            seconds = _next(begun, trouble.ended)
        elif trouble.kind in _OF_A_PRODUCER:
            seconds = _next(answers.get(_OF_A_PRODUCER[FaultKind(trouble.kind)], []), trouble.ended)
        else:
            seconds = None
        if seconds is not None:
            found[trouble.kind].append(seconds)
    return [
        Recovery(
            kind,
            count,
            statistics.median(found[kind]) if found[kind] else None,
            max(found[kind], default=None),
        )
        for kind, count in sorted(counts.items())
    ]


def _next(times: list[float], after: float) -> float | None:
    place = bisect_left(times, after)
    return times[place] - after if place < len(times) else None


def _last_of_its_jobs(trouble: Trouble, book: Book) -> float | None:
    """None if it ran nothing that had an effect later."""
    ended: dict[int, float] = {}
    for run in book.effects:  # in order of time: the first effect counts
        ended.setdefault(run.number, run.ended or run.began)
    running = {
        run.number
        for run in book.begun
        if run.process == trouble.process
        and run.began <= trouble.began
        and ended.get(run.number, 0) > trouble.began
        and not _fails_at_once(run)
    }
    lasts = [ended[number] - trouble.began for number in running if number in ended]
    return max(lasts, default=None)


def _fails_at_once(run: Run) -> bool:
    """Then it waited for its next attempt, in no process."""
    return kind(run.number) is Kind.WOBBLY and run.attempt == 1


@dataclass(frozen=True)
class Memory:
    """MiB: the means of the second and of the last quarter of a run, and the most."""

    what: str
    early: float
    late: float
    most: float


def memory(book: Book) -> list[Memory]:
    """Of what is measured over the whole run; in the first quarter processes warm up."""
    of: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for at, what, size in book.memory:
        of[what].append((at, size / 2**20))
    found = []
    for what, points in sorted(of.items()):
        quarter = max(1, len(points) // 4)
        early = statistics.fmean(size for _, size in points[quarter : 2 * quarter] or points)
        late = statistics.fmean(size for _, size in points[-quarter:])
        found.append(Memory(what, early, late, max(size for _, size in points)))
    return found
