"""What a queue is, without Redis: the model that test_queue_machine.py holds the real one against.

Exact for jobs without groups or families: every state, every order, every count. Times are not modelled:
what is delayed is due when somebody promotes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Prioritized jobs are ordered by priority, then by turn.
BAND = 4294967296


@dataclass
class Entry:
    """One job."""

    priority: int = 0
    lifo: bool = False
    state: str = "waiting"
    attempts: int = 0
    stalls: int = 0
    #: None; "?": it is to end; "!": it has ended for that.
    cancel: str | None = None
    #: How often it went to sleep: tells one sleep from another.
    #: Which of all sleeps its last one was.
    sleep: int = 0
    completions: int = 0
    #: Who holds it, and by which fetch.
    owner: tuple[str, int] | None = None


@dataclass
class Signal:
    payload: bool = False
    #: The sleep that each job went into when it began to wait, in the order in which they first did.
    waiters: dict[str, int] = field(default_factory=dict)


@dataclass
class QueueModel:
    jobs: dict[str, Entry] = field(default_factory=dict)
    #: The next one is the last.
    wait: list[str] = field(default_factory=list)
    prioritized: dict[str, int] = field(default_factory=dict)
    turn: int = 0
    paused: bool = False
    count: int = 0
    keys: dict[str, str] = field(default_factory=dict)
    signals: dict[str, Signal] = field(default_factory=dict)
    sleeps: int = 0
    #: Active jobs that the last sweep saw.
    marked: set[str] = field(default_factory=set)

    def ids(self, *states: str) -> set[str]:
        return {job_id for job_id, job in self.jobs.items() if job.state in states}

    def line(self) -> list[str]:
        return [job for _, job in sorted((score, job) for job, score in self.prioritized.items())]

    # Into the queue

    def known(self, job_id: str, key: str) -> str | None:
        """The job that an add with this id or key meets."""
        if self.keys.get(key) in self.jobs:
            return self.keys[key]
        return job_id if job_id in self.jobs else None

    def add(self, job_id: str, key: str, *, priority: int, lifo: bool, delayed: bool) -> None:
        self.jobs[job_id] = Entry(priority, lifo)
        if key:
            self.keys[key] = job_id
        if delayed:
            self.jobs[job_id].state = "delayed"
        else:
            self.put(job_id, in_front=lifo)

    def put(self, job_id: str, *, in_front: bool, as_first: bool = False) -> None:
        """Let it wait. `as_first`: a prioritized one before its equals; `in_front` is for those without."""
        job = self.jobs[job_id]
        job.state, job.owner = "waiting", None
        if job.priority:
            if not as_first:
                self.turn += 1
            self.prioritized[job_id] = job.priority * BAND + (0 if as_first else self.turn)
        elif in_front:
            self.wait.append(job_id)
        else:
            self.wait.insert(0, job_id)

    def back(self, job_id: str) -> None:
        self.put(job_id, in_front=True, as_first=True)

    def sleep(self, job_id: str) -> None:
        job = self.jobs[job_id]
        job.state, job.owner = "delayed", None
        self.sleeps += 1
        job.sleep = self.sleeps

    # Out of it

    def leave_line(self, job_id: str) -> None:
        if job_id in self.wait:
            self.wait.remove(job_id)
        self.prioritized.pop(job_id, None)

    def forget(self, job_id: str) -> None:
        self.leave_line(job_id)
        del self.jobs[job_id]

    def fetch(self, slots: int, owner: tuple[str, int]) -> list[str]:
        if self.paused or not slots:
            return []
        taken = [self.wait.pop() for _ in range(min(slots, len(self.wait)))]
        missing = slots - len(taken)
        if missing:
            line = self.line()
            for job_id in line[:missing]:
                del self.prioritized[job_id]
            taken += line[:missing]
            if len(line) < missing:
                self.turn = 0
        for job_id in taken:
            self.jobs[job_id].state, self.jobs[job_id].owner = "active", owner
        return taken

    # Ends

    def end(self, job_id: str, kind: str, signal: str = "") -> None:
        """The end of a run whose worker still holds the job."""
        job = self.jobs[job_id]
        self.marked.discard(job_id)
        asked = job.cancel == "?"
        match kind:
            case "completed" | "failed":
                job.state, job.owner = kind, None
                job.attempts += 1
                job.completions += kind == "completed"
            case "cancelled":
                job.state, job.owner, job.cancel = "failed", None, "!"
                job.attempts += 1
            case "retry":
                job.attempts += 1
                self.put(job_id, in_front=job.lifo)
            case "put back":
                self.back(job_id)
            case "later" | "snooze" | "wait":
                place = self.signals.setdefault(signal, Signal()) if kind == "wait" else Signal()
                if asked or place.payload:
                    self.back(job_id)
                    return
                job.attempts += kind == "later"
                self.sleep(job_id)
                if kind == "wait":
                    place.waiters[job_id] = job.sleep

    def signal(self, name: str) -> bool:
        place = self.signals.setdefault(name, Signal())
        place.payload = True
        waiters, place.waiters = place.waiters, {}
        woken = [
            job_id
            for job_id, sleep in waiters.items()
            if job_id in self.jobs
            and self.jobs[job_id].state == "delayed"
            and self.jobs[job_id].sleep == sleep
        ]
        for job_id in woken:
            self.back(job_id)
        return bool(woken)

    # Hands from outside

    def retry(self, job_id: str) -> None:
        job = self.jobs[job_id]
        job.attempts = job.stalls = 0
        job.cancel = None
        self.put(job_id, in_front=job.lifo)

    def sweep(self, has_lock: set[str]) -> set[str]:
        """Returns what is put back; the order is Redis's, so the caller puts it."""
        lost = {job_id for job_id in self.marked & self.ids("active") if job_id not in has_lock}
        for job_id in lost:
            self.jobs[job_id].stalls += 1
        self.marked = self.ids("active") - lost
        return lost
