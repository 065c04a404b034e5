"""What groups promise, as a model in plain Python: who waits where, whose turn it is, who may start.

Jobs that a stock client removed stay in their group's line as ghosts until their turn comes, as in Redis.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

BAND, MIDDLE = 2**32, 2**31


@dataclass(frozen=True)
class Limits:
    concurrency: int = 0
    jobs: int = 0
    per: int = 0


ONE_AT_ONCE = Limits(concurrency=1)


@dataclass
class Group:
    line: list[tuple[int, str]] = field(default_factory=list)
    active: set[str] = field(default_factory=set)
    since: int = 0
    used: int = 0


@dataclass
class Model:
    default: Limits
    now: int = 0
    groups: dict[str, Group] = field(default_factory=dict)
    limits: dict[str, Limits] = field(default_factory=dict)
    ring: list[str] = field(default_factory=list)
    limited: dict[str, int] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    #: Front first.
    wait: list[str] = field(default_factory=list)
    delayed: list[tuple[int, int, str]] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    group_of: dict[str, str] = field(default_factory=dict)
    priority_of: dict[str, int] = field(default_factory=dict)
    ghosts: set[str] = field(default_factory=set)
    added: int = 0

    def group(self, name: str) -> Group:
        return self.groups.setdefault(name, Group())

    def limits_of(self, name: str) -> Limits:
        return ONE_AT_ONCE if name.startswith("lock:") else self.limits.get(name, self.default)

    # Coming in

    def add(self, job: str, group: str, priority: int, *, lifo: bool, delay: int) -> None:
        self.added += 1
        if group:
            self.group_of[job] = group
        self.priority_of[job] = priority
        if delay:
            insort(self.delayed, (self.now + delay, self.added, job))
        else:
            self.put(job, in_front=lifo)

    def put(self, job: str, *, in_front: bool) -> None:
        name = self.group_of.get(job)
        if name is None:
            self.wait.insert(0 if in_front else len(self.wait), job)
            return
        low = self.priority_of[job] * BAND
        scores = [score for score, _ in self.group(name).line if low <= score < low + BAND]
        score = low + MIDDLE
        if scores:
            score = scores[0] - 1 if in_front else scores[-1] + 1
        insort(self.group(name).line, (score, job))
        if name not in self.paused:
            self.enrol(name)

    def enrol(self, name: str) -> None:
        if name not in self.ring:
            self.ring.append(name)

    def wake(self, name: str) -> None:
        if self.group(name).line and name not in self.paused:
            self.enrol(name)

    # May it start?

    def shut(self, name: str, *, member: bool = False) -> int:
        limits, group = self.limits_of(name), self.group(name)
        if name in self.paused:
            return -1
        if limits.concurrency and len(group.active) - member >= limits.concurrency:
            return -1
        ends = group.since + limits.per
        if limits.jobs and not member and group.used >= limits.jobs and self.now < ends:
            return ends - self.now
        return 0

    def enter(self, name: str, job: str) -> None:
        limits, group = self.limits_of(name), self.group(name)
        group.active.add(job)
        if limits.jobs:
            if self.now >= group.since + limits.per:
                group.since, group.used = self.now, 1
            else:
                group.used += 1

    def promote(self) -> None:
        while self.delayed and self.delayed[0][0] <= self.now:
            self.put(self.delayed.pop(0)[2], in_front=False)

    def fetch(self, slots: int) -> list[str]:
        started: list[str] = []
        self.promote()
        while len(started) < slots:
            room = slots - len(started)
            plain, self.wait = self.wait[:room], self.wait[room:]
            grouped = self.take(room - len(plain))
            if not plain and not grouped:
                break
            started += [job for job in plain if self.admits(job)] + grouped
        self.running.update(started)
        return started

    def take(self, count: int) -> list[str]:
        taken: list[str] = []
        if count <= 0:
            return taken
        for _, name in sorted((opens, name) for name, opens in self.limited.items() if opens <= self.now):
            del self.limited[name]
            self.enrol(name)
        while len(taken) < count and self.ring:
            name = self.ring.pop(0)
            wait = self.shut(name)
            if wait > 0:
                self.limited[name] = self.now + wait
            elif wait == 0:
                line = self.group(name).line
                while line:
                    job = line.pop(0)[1]
                    if job not in self.ghosts:
                        self.enter(name, job)
                        taken.append(job)
                        break
                if line:
                    self.enrol(name)
        return taken

    def admits(self, job: str) -> bool:
        name = self.group_of.get(job)
        if name is None:
            return True
        group = self.group(name)
        member = job in group.active
        if self.shut(name, member=member) == 0:
            if not member:
                self.enter(name, job)
            return True
        group.active.discard(job)
        self.put(job, in_front=True)
        return False

    # Going out

    def leave(self, job: str) -> None:
        """Its run is over: the place is free."""
        self.running.discard(job)
        name = self.group_of.get(job)
        if name is not None:
            self.group(name).active.discard(job)
            self.wake(name)

    def stall(self, job: str) -> None:
        """Its worker died and the sweep put it back; it keeps its place until it starts again."""
        self.running.discard(job)
        self.wait.insert(0, job)

    def remove(self, job: str) -> None:
        self.wait = [other for other in self.wait if other != job]
        self.delayed = [entry for entry in self.delayed if entry[2] != job]
        self.ghosts.add(job)

    def heal(self) -> None:
        for name, group in self.groups.items():
            gone = group.active - self.running
            group.active -= gone
            if gone or not (group.active or name in self.ring or name in self.limited):
                self.wake(name)

    def change(self, name: str) -> None:
        """Its pause ended, or its limits changed."""
        self.limited.pop(name, None)
        self.wake(name)
