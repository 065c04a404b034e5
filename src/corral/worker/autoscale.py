"""How many worker processes there should be: a pure decision over how the queues stand.

Grow while a queue misses its objective (drain time or oldest age), to the number that would meet it, at
most double at a time. Shrink when fewer would have been enough for `Pace.down` seconds without a break, by
one or a quarter. Between the two lies a band in which nothing changes, so that a load near the border does
not flap.

More processes are never asked for where they cannot help: a paused queue, jobs that a breaker holds or that
are only delayed, a rate limit or global concurrency that is used up, slots that are free already. Nor beyond
the host's memory. The reason says which.

Every host decides alone, and all multiply their own number by the same factor, which follows from figures
that all of them see: together they come to the number that is needed, at most one process a host above it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from corral.errors import ConfigurationError
from corral.observe.standing import QueueStanding
from corral.policy import Objective, RateLimit

#: More processes than this on one host belong on more hosts.
MAX_PROCESSES = 64

#: Above this share of busy slots, or of a core, a process has no more to give: another one helps.
FULL = 0.8
#: The obstacle of a queue that waits beside slots which it could have.
SLOTS_FREE = "slots free"
#: After shrinking the share must stay below this; the gap to FULL is the hysteresis.
COMFORTABLE = 0.7
#: After shrinking the objective must be met by this factor.
EASY = 0.5
#: A rate limit that is used to this share is what holds the jobs back.
LIMIT_USED = 0.9
#: A process that was added takes jobs after so many seconds: its free slots mean nothing until then.
STARTING_SECONDS = 15.0
#: In one step up, at most so many times the processes.
STEP_UP = 2
#: In one step down, the inverse of the largest share that goes.
STEP_DOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """`--processes`: never fewer, never more."""

    least: int
    most: int

    @classmethod
    def parse(cls, text: str | int) -> Bounds:
        """From `4` or `2..8`. Raises ConfigurationError."""
        low, dots, high = str(text).strip().partition("..")
        try:
            bounds = cls(least=int(low), most=int(high if dots else low))
        except ValueError:
            raise ConfigurationError(f"--processes {text}: a number, or MIN..MAX as in 2..8.") from None
        if not 1 <= bounds.least <= bounds.most <= MAX_PROCESSES:
            raise ConfigurationError(f"--processes {text}: choose 1 to {MAX_PROCESSES}, the smaller first.")
        return bounds

    @property
    def fixed(self) -> bool:
        return self.least == self.most


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Cooldowns, in seconds."""

    up: float = 15.0
    down: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One queue, as scaling sees it."""

    #: Its `recent` should be of the last seconds: one that reaches back before the load tells too little.
    standing: QueueStanding
    objective: Objective
    #: Of one process, for this queue.
    slots: int = 20
    #: Processes that take its jobs, on all hosts.
    live: int = 1
    concurrency: int | None = None
    rate_limit: RateLimit | None = None
    #: Until the rate limit lets a job start again.
    rate_limited_seconds: float = 0.0

    @property
    def busy(self) -> float:
        """Share of the slots that run a job."""
        return self.standing.counts.get("active", 0) / (self.slots * max(1, self.live))


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a supervisor knows at one moment. `at`: seconds of a clock that does not jump."""

    at: float
    processes: int
    demands: tuple[Demand, ...]
    #: Of one core, the mean of this host's processes, 0 to 1.
    cpu_share: float = 0.0
    #: Further processes that the host's memory has room for.
    room: int = MAX_PROCESSES
    #: Why nothing may be changed now; empty: nothing forbids it.
    frozen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is remembered from decision to decision."""

    grown_at: float = -math.inf
    #: Since when fewer processes would have been enough; None: they would not.
    calm_since: float | None = None
    #: Obstacles that were told: each once, until a change or a time without any.
    told: frozenset[str] = frozenset()
    refused_at: float = -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`before` to `after` processes, and why. `obstacle`: what forbids a wanted change; empty: nothing."""

    before: int
    after: int
    reason: str = ""
    #: The queue that decided it.
    queue: str = ""
    obstacle: str = ""
    #: Worth telling: a change, or an obstacle that is new.
    news: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one queue asks for, as factors of the present number of processes."""

    queue: str
    #: To meet the objective; 1 or less: it is met.
    grow: float
    #: What would still be comfortable; below 1, processes can go.
    keep: float
    why: str = ""
    #: Why more processes would not help; empty: they would.
    obstacle: str = ""
    #: The obstacle in words, with its figures.
    because: str = ""


def need_of(demand: Demand, cpu_share: float = 0.0) -> Need:
    """What a queue asks for."""
    standing, objective = demand.standing, demand.objective
    drain, age = standing.drain_seconds, standing.oldest_waiting_seconds or 0.0
    used = max(demand.busy, cpu_share) / COMFORTABLE
    late = drain is None or drain > objective.drain
    old = standing.waiting > 0 and age > objective.age
    # Nothing ended lately. Long jobs, perhaps: the age tells whether it matters.
    if (drain is None and not old) or not (late or old):
        distance = max((drain or 0.0) / objective.drain, age / objective.age if standing.waiting else 0.0)
        return Need(queue=standing.queue, grow=0.0, keep=max(used, distance / EASY))
    why = _why(standing, objective)
    obstacle, because = _obstacle(demand, cpu_share)
    if obstacle:
        return Need(queue=standing.queue, grow=0.0, keep=used, why=why, obstacle=obstacle, because=because)
    if drain is None:
        grow = float(STEP_UP)
    elif late:
        grow = min(drain / objective.drain, *_useful(demand))
    else:  # it drains in time, yet some jobs wait too long: others go before them
        grow = 1 + 1 / max(1, demand.live)
    return Need(queue=standing.queue, grow=grow, keep=max(1.0, used), why=why)


def decide(now: Situation, bounds: Bounds, pace: Pace, past: Past) -> tuple[Decision, Past]:
    """The number of processes from now on, and what to remember for the next decision."""
    count = now.processes
    if now.at - past.refused_at >= pace.down:
        past = replace(past, told=frozenset())
    if now.frozen:
        return _refused(now, past, "frozen", now.frozen, "")
    if not bounds.least <= count <= bounds.most:
        after = min(max(count, bounds.least), bounds.most)
        return _change(now, past, after, f"{bounds.least}..{bounds.most} processes were asked for", "")
    needs = [need_of(demand, now.cpu_share) for demand in now.demands]
    wanting = [need for need in needs if need.grow > 1]
    if wanting:
        return _grow(now, bounds, pace, past, max(wanting, key=lambda need: need.grow))
    shrunk = _shrink(now, bounds, pace, past, needs)
    starting = now.at - past.grown_at < max(pace.up, STARTING_SECONDS)
    blocked = next((n for n in needs if n.obstacle and not (starting and n.obstacle == SLOTS_FREE)), None)
    if blocked and not shrunk[0].news:
        words = f"{blocked.queue} {blocked.why}; more processes would not help: {blocked.because}"
        return _refused(now, shrunk[1], blocked.obstacle, words, blocked.queue)
    return shrunk


def wanted_processes(demand: Demand) -> int:
    """Processes for one queue, on all hosts together, for an autoscaler outside (KEDA, HPA) that has rests of
    its own.

    0 only if nothing waits, runs or is delayed: delayed jobs need a worker that wakes them.
    """
    counts = demand.standing.counts
    if not any(counts.get(state) for state in ("waiting", "prioritized", "active", "delayed")):
        return 0
    if not demand.live:
        return 1
    need = need_of(demand)
    if need.grow > 1:
        return _up(demand.live * need.grow)
    return max(1, min(demand.live, _up(demand.live * need.keep)))


def _grow(now: Situation, bounds: Bounds, pace: Pace, past: Past, need: Need) -> tuple[Decision, Past]:
    past = replace(past, calm_since=None)
    count = now.processes
    wanted = min(max(count + 1, _up(count * need.grow)), count * STEP_UP)
    words = f"{need.queue} {need.why}"
    if count >= bounds.most:
        return _refused(now, past, "maximum", f"{words}; {bounds.most} processes are the maximum", need.queue)
    if now.room < 1:
        words += "; the host has no memory for another process"
        return _refused(now, past, "memory", words, need.queue)
    if now.at - past.grown_at < pace.up:
        return _refused(now, past, "cooldown", f"{words}; cooldown {pace.up:g} s", need.queue)
    after = min(wanted, bounds.most, count + now.room)
    return _change(now, replace(past, grown_at=now.at), after, f"{words}; cooldown {pace.up:g} s", need.queue)


def _shrink(
    now: Situation, bounds: Bounds, pace: Pace, past: Past, needs: list[Need]
) -> tuple[Decision, Past]:
    count = now.processes
    need = max(needs, key=lambda each: each.keep, default=None)
    enough = max(bounds.least, _up(count * need.keep) if need else bounds.least)
    if enough >= count:
        return Decision(before=count, after=count), replace(past, calm_since=None)
    since = past.calm_since if past.calm_since is not None else now.at
    past = replace(past, calm_since=since)
    # Processes that were just added have not shown yet what they are good for.
    if now.at - max(since, past.grown_at) < pace.down:
        return Decision(before=count, after=count), past
    after = max(enough, count - max(1, count // STEP_DOWN))
    words = f"{enough} would have been enough for {pace.down:g} s"
    return _change(now, replace(past, calm_since=now.at), after, words, need.queue if need else "")


def _change(now: Situation, past: Past, after: int, words: str, queue: str) -> tuple[Decision, Past]:
    reason = f"{now.processes}→{after}: {words}"
    decision = Decision(before=now.processes, after=after, reason=reason, queue=queue, news=True)
    return decision, replace(past, told=frozenset(), refused_at=-math.inf)


def _refused(now: Situation, past: Past, obstacle: str, words: str, queue: str) -> tuple[Decision, Past]:
    count, key = now.processes, f"{obstacle}:{queue}"
    decision = Decision(
        before=count,
        after=count,
        reason=f"stays {count}: {words}",
        queue=queue,
        obstacle=obstacle,
        news=key not in past.told,
    )
    return decision, replace(past, told=past.told | {key}, refused_at=now.at)


def _obstacle(demand: Demand, cpu_share: float) -> tuple[str, str]:
    """Why more processes would not help, as a word and in words."""
    standing, rate = demand.standing, demand.rate_limit
    if standing.paused:
        return "paused", "the queue is paused"
    if standing.held and not standing.recent.per_second:
        held = ", ".join(f"{count:,} by {name}" for name, count in sorted(standing.held.items()))
        return "held", f"jobs are held ({held})"
    if rate and (
        demand.rate_limited_seconds > 0 or standing.recent.per_second >= LIMIT_USED * rate.jobs / rate.per
    ):
        return "rate limit", f"its rate limit of {rate.jobs:,} jobs per {rate.per:g} s binds"
    capacity = demand.slots * max(1, demand.live)
    if demand.concurrency is not None and capacity >= demand.concurrency:
        return "concurrency", f"its global concurrency of {demand.concurrency:,} jobs binds"
    if max(demand.busy, cpu_share) < FULL:
        active = standing.counts.get("active", 0)
        return SLOTS_FREE, f"{active:,} of {capacity:,} slots are busy, so something else keeps the jobs"
    return "", ""


def _useful(demand: Demand) -> tuple[float, ...]:
    """Factors beyond which a limit binds."""
    found = [math.inf]
    if demand.concurrency is not None:
        found.append(_up(demand.concurrency / demand.slots) / max(1, demand.live))
    if demand.rate_limit and demand.standing.recent.per_second:
        found.append(demand.rate_limit.jobs / demand.rate_limit.per / demand.standing.recent.per_second)
    return tuple(found)


def _why(standing: QueueStanding, objective: Objective) -> str:
    drain, age = standing.drain_seconds, standing.oldest_waiting_seconds or 0.0
    if drain is None:
        speed = "nothing ends"
    else:
        speed = f"drain {drain:,.0f} s {'>' if drain > objective.drain else '≤'} {objective.drain:g} s"
    old = f", oldest {age:,.0f} s > {objective.age:g} s" if age > objective.age else ""
    return f"backlog {standing.waiting:,}, {speed}{old}"


def _up(number: float) -> int:
    """The next whole number, forgiving what adding fractions leaves behind."""
    return math.ceil(number - 1e-9)
