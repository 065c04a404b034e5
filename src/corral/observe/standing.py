"""How queues, workers and the server stand at one moment: what alerts, scaling and pages decide on. No I/O.

Read by `corral.observe.stand`; plain values, so that every decision over them is a pure function and a test
makes its case by hand. Times are epoch seconds by the server's clock, durations seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from corral.policy import Objective, RateLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """What a queue, or one of its job names, did in the last `window_seconds`."""

    window_seconds: float = 300.0
    #: Jobs added (for a job name: first started, since nobody counts the names of what is added).
    arrived: int = 0
    completed: int = 0
    #: Jobs that ended in the dead letters.
    failed: int = 0
    #: Jobs that ended because somebody cancelled them while they ran; no failures.
    cancelled: int = 0
    #: Attempts that failed and are tried again.
    retried: int = 0
    #: Jobs that were taken from a dead or silent worker.
    stalled: int = 0
    #: From when a job could have started to its start; None: no job started.
    wait_p50: float | None = None
    wait_p95: float | None = None
    wait_p99: float | None = None
    #: Of one attempt; None: none ended.
    run_p50: float | None = None
    run_p95: float | None = None
    run_p99: float | None = None

    @property
    def failure_rate(self) -> float:
        """Share of jobs that ended by themselves which ended in the dead letters, 0 to 1."""
        ended = self.completed + self.failed
        return self.failed / ended if ended else 0.0

    @property
    def per_second(self) -> float:
        """Jobs that ended for good, a second."""
        return (self.completed + self.failed + self.cancelled) / self.window_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStanding:
    """One queue. `counts`: jobs by BullMQ state, as `Queue.counts()` gives them."""

    queue: str
    counts: Mapping[str, int] = field(default_factory=dict)
    paused: bool = False
    #: Among the delayed: jobs that a breaker holds, by breaker.
    held: Mapping[str, int] = field(default_factory=dict)
    #: How long the job has waited that could have started first; None: none waits.
    oldest_waiting_seconds: float | None = None
    recent: Recent = Recent()
    #: The same for each job name, of those that did anything.
    names: Mapping[str, Recent] = field(default_factory=dict)
    #: Job names that no handler knows, of jobs that are put back for it.
    unknown_names: tuple[str, ...] = ()
    #: Schedules whose next run is overdue, by seconds.
    late_schedules: Mapping[str, float] = field(default_factory=dict)
    #: Until a job may start again that its rate limit holds back; 0: none does.
    rate_limited_seconds: float = 0.0
    #: Set live, for all workers together; None: not, though its code may declare one.
    rate_limit: RateLimit | None = None
    concurrency: int | None = None
    #: What its workers declare, or this process; None: nothing.
    objective: Objective | None = None

    @property
    def waiting(self) -> int:
        """Jobs that a worker could start now."""
        return self.counts.get("waiting", 0) + self.counts.get("prioritized", 0)

    @property
    def drain_seconds(self) -> float | None:
        """How long until nothing waits, at the recent rate; None: it moves too little to tell."""
        if not self.waiting:
            return 0.0
        rate = self.recent.per_second
        return self.waiting / rate if rate > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A job in a slot of a worker."""

    queue: str
    id: str
    name: str
    started_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStanding:
    """One worker process, as its last beat told."""

    name: str
    host: str
    pid: int
    version: str
    queues: tuple[str, ...]
    slots: int
    busy: int
    #: The longest running ones, at most 20.
    jobs: tuple[RunningJob, ...] = ()
    memory_bytes: int = 0
    #: Of one core, 0 to 100 and beyond with threads and children.
    cpu_percent: float = 0.0
    #: The longest stop of the event loop in the last minute.
    loop_lag_seconds: float = 0.0
    started_at: float = 0.0
    beat_at: float = 0.0
    #: It takes no new jobs.
    quiet: bool = False
    #: By queue: (slots, busy).
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    #: In whose place its supervisor started it, and why; empty: in nobody's.
    replaces: str = ""
    #: Attempts since its start that completed or failed, for good or to be tried again; not those that were
    #: cancelled or put back. None: its version does not tell.
    done: int | None = None
    #: Of them, in the last half minute; None: too early to tell.
    done_per_second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerStanding:
    name: str
    #: closed, open or half-open, as `corral breakers` shows it.
    state: str
    held: int = 0
    reason: str = ""
    since: float | None = None
    #: What it opened for: configuration, failures or operator; empty while it is closed.
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStanding:
    """The Redis or Valkey server."""

    version: str = ""
    memory_bytes: int = 0
    #: 0: no limit.
    memory_limit_bytes: int = 0
    eviction_policy: str = ""
    append_only: bool = False
    #: Snapshots are configured.
    snapshots: bool = False
    #: The last write of the append-only file or the last snapshot failed.
    persistence_failing: bool = False
    connected_clients: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Everything at one moment. `server` is None where the server does not let itself be asked (ACL)."""

    at: float
    queues: Mapping[str, QueueStanding] = field(default_factory=dict)
    workers: tuple[WorkerStanding, ...] = ()
    breakers: tuple[BreakerStanding, ...] = ()
    server: ServerStanding | None = None
