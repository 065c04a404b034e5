"""What became of every number: from the ledger and from what Redis still holds. Pure.

A job may have two effects for these reasons alone (delivery is "at least once"): a process that ran it was
killed, frozen or cut off before its end was written, or Redis was away then. A failover also takes back ends
that were written and not replicated. Everything else is a fault of Corral, and so is every lost job, but for
what a failover by Sentinel may take: adds that the old master answered and had not yet replicated, as one
does that was frozen and answers what it had been sent, before it learns that it is no master any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.soak.ledger import Answer, Book, Run, Trouble
from bench.soak.numbers import Kind, kind, producer
from bench.soak.plan import FaultKind

#: Between an effect and the moment its end is surely written while all is well.
SETTLE_SECONDS = 2.0
#: A client is back so long after its Redis (the design's guarantee 4), and hears late answers meanwhile.
RETURN_SECONDS = 5.0
#: How long before its death a master may have answered what its replica never saw.
REPLICATION_SECONDS = 2.0

_HIT_ONE = {
    FaultKind.WORKER_KILL: "its process was killed while it ran",
    FaultKind.WORKER_FREEZE: "its process was frozen while it ran",
    FaultKind.WORKER_CUT: "its process was cut off while it ran",
}
_FAILOVERS = (FaultKind.FAILOVER_KILL, FaultKind.FAILOVER_FREEZE, FaultKind.FAILOVER_PLANNED)
_REDIS_AWAY = (FaultKind.REDIS_KILL, FaultKind.REDIS_FREEZE, *_FAILOVERS)
#: What Corral says of a job that was in a process at two deaths.
STALLED = "died or stalled"
RESENT = "ioredis sent its add again: two jobs"


@dataclass(frozen=True)
class Held:
    """A job that Redis holds at the end, completed ones left out. `reason`: why it failed."""

    number: int
    job: str
    place: str
    reason: str = ""


@dataclass
class Verdict:
    answered: int = 0
    unanswered: int = 0
    #: Of those without an answer, how many had an effect all the same.
    unanswered_done: int = 0
    once: int = 0
    #: Numbers by why two effects were allowed.
    twice: dict[str, list[int]] = field(default_factory=dict)
    unexplained: list[int] = field(default_factory=list)
    #: Numbers without an effect in the dead letters, by the reason's shape.
    dead: dict[str, list[int]] = field(default_factory=dict)
    #: Numbers in the dead letters that have an effect too, by the reason's shape.
    dead_and_done: dict[str, list[int]] = field(default_factory=dict)
    #: Dead letters without an effect that nobody can explain.
    dead_wrongly: list[int] = field(default_factory=list)
    #: Jobs found guilty of killing their workers that cannot have been, with an effect or without.
    condemned_wrongly: list[int] = field(default_factory=list)
    #: Answered, without an effect, and still in Redis when the run gave up waiting: (number, place).
    unfinished: list[tuple[int, str]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    #: Answered by a master that was replaced and had not replicated them, by producer.
    lost_with_master: dict[str, list[int]] = field(default_factory=dict)
    #: Effects of numbers that no producer added.
    invented: list[int] = field(default_factory=list)

    @property
    def good(self) -> bool:
        wrong = self.lost or self.unexplained or self.unfinished or self.invented
        return not (wrong or self.dead_wrongly or self.condemned_wrongly)

    @property
    def accounted(self) -> int:
        """Answered numbers that fell into a row of the table; it must be `answered`."""
        twice = sum(len(numbers) for numbers in self.twice.values())
        dead = sum(len(numbers) for numbers in self.dead.values()) + len(self.dead_wrongly)
        with_master = sum(len(numbers) for numbers in self.lost_with_master.values())
        rest = len(self.unexplained) + len(self.unfinished) + len(self.lost)
        return self.once + twice + dead + with_master + rest


def judge(book: Book, held: Iterable[Held]) -> Verdict:
    """Sort every number into its row."""
    answered: dict[int, list[Answer]] = defaultdict(list)
    asked = set()
    for answer in book.answers:
        asked.add(answer.number)
        if answer.job is not None:
            answered[answer.number].append(answer)
    effects: dict[int, list[Run]] = defaultdict(list)
    for run in book.effects:
        effects[run.number].append(run)
    in_redis: dict[int, list[Held]] = defaultdict(list)
    for one in held:
        in_redis[one.number].append(one)

    condemned = _condemned(book, in_redis)
    verdict = Verdict(
        condemned_wrongly=sorted(number for number, why in condemned.items() if why is None),
        answered=len(answered),
        unanswered=len(asked - answered.keys()),
        unanswered_done=len((asked - answered.keys()) & effects.keys()),
    )
    for number in sorted(asked | effects.keys()):
        runs, places = effects.get(number, []), in_redis.get(number, [])
        if number not in asked:
            verdict.invented.append(number)
        elif len(runs) > 1:
            why = why_twice(runs, book.troubles)
            if why is None:
                verdict.unexplained.append(number)
            elif number in answered:
                verdict.twice.setdefault(why, []).append(number)
        elif runs and number in answered:
            verdict.once += 1
        for one in places:
            if runs and one.place == "failed":
                verdict.dead_and_done.setdefault(shape(one.reason), []).append(number)
        if not runs and number in answered:
            _without_effect(verdict, answered[number], places, condemned, book)
    return verdict


def _without_effect(
    verdict: Verdict,
    answers: Sequence[Answer],
    places: list[Held],
    condemned: dict[int, tuple[Trouble, int] | None],
    book: Book,
) -> None:
    number = answers[0].number
    dead = next((one for one in places if one.place == "failed"), None)
    if dead is not None:
        hopeless = kind(number) is Kind.HOPELESS and "hopeless" in dead.reason
        if hopeless or condemned.get(number) is not None:
            verdict.dead.setdefault(shape(dead.reason), []).append(number)
        else:
            verdict.dead_wrongly.append(number)
    elif places:
        verdict.unfinished.append((number, places[0].place))
    elif any(_before_failover(answer.at, book.troubles) for answer in answers):
        verdict.lost_with_master.setdefault(producer(number), []).append(number)
    else:
        verdict.lost.append(number)


def why_twice(runs: Sequence[Run], troubles: Sequence[Trouble]) -> str | None:
    """Why these effects of one number were allowed; None: they were not.

    The end of one run was written. All others need a fault that hit them, whichever had its effect first: one
    that was frozen has it when it thaws, after the run of who took the job over.
    """
    if len({run.job for run in runs}) > 1:
        number = runs[0].number
        return RESENT if producer(number) == "node" else None
    reasons = {run: reason_for(run, troubles) for run in runs}
    written = [run for run, reason in reasons.items() if reason is None]
    if len(written) > 1 or len(set(runs)) < len(runs):
        return None
    for end in written:  # nobody is given a job whose end is written
        if any(run.began > (end.ended or end.began) + SETTLE_SECONDS for run in runs):
            return None
    return next(reason for reason in reasons.values() if reason is not None)


def reason_for(run: Run, troubles: Sequence[Trouble]) -> str | None:
    """Why the end of this run may not have been written."""
    ended = (run.ended or run.began) + SETTLE_SECONDS
    for trouble in troubles:
        if trouble.kind not in (*_HIT_ONE, *_REDIS_AWAY):
            continue
        late = 0 if trouble.kind == FaultKind.WORKER_KILL else RETURN_SECONDS
        until = max(trouble.ended, trouble.over) + late
        if trouble.began > ended or until < run.began:
            continue
        if trouble.kind in _REDIS_AWAY:
            return "Redis failed over" if trouble.kind in _FAILOVERS else "Redis was away when it ended"
        if trouble.process == run.process:
            return _HIT_ONE[FaultKind(trouble.kind)]
    return None


def shape(reason: str) -> str:
    """A reason without what differs from job to job."""
    words = reason.split(". ", maxsplit=1)[0].split()
    return " ".join("…" if any(sign.isdigit() for sign in word) else word for word in words)[:100]


def _condemned(book: Book, in_redis: dict[int, list[Held]]) -> dict[int, tuple[Trouble, int] | None]:
    """The jobs that Corral took for killers, each with the fault and the process that explain it.

    No job here kills, so a fault did it for each: its last run was cut off by one, after another one had made
    it a suspect; it was the only suspect that ran in its process. So a fault condemns one job of a process at
    most, and none that no handler ever began.
    """
    taken: dict[tuple[Trouble, int], int] = {}
    found: dict[int, tuple[Trouble, int] | None] = {}
    for number, places in sorted(in_redis.items()):
        if any(one.place == "failed" and STALLED in one.reason for one in places):
            runs = [run for run in (*book.begun, *book.effects) if run.number == number]
            found[number] = None
            for cause in _causes(runs, book.troubles):
                if cause not in taken:
                    taken[cause] = number
                    found[number] = cause
                    break
    return found


def _causes(runs: Sequence[Run], troubles: Sequence[Trouble]) -> list[tuple[Trouble, int]]:
    """Faults that may have condemned the job of these runs, each with the process of its last run."""
    if not runs:
        return []
    last = max(runs, key=lambda run: (run.began, run.ended or 0))
    hit = [trouble for trouble in troubles if reason_for(last, [trouble]) is not None]
    hits = (*_HIT_ONE, *_REDIS_AWAY)
    before = [trouble for trouble in troubles if trouble.kind in hits and trouble.began < last.began]
    return [(trouble, last.process) for trouble in hit if any(other != trouble for other in before)]


def _before_failover(at: float, troubles: Sequence[Trouble]) -> bool:
    return any(
        trouble.began - REPLICATION_SECONDS <= at <= max(trouble.ended, trouble.over)
        for trouble in troubles
        if trouble.kind in _FAILOVERS
    )
