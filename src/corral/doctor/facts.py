"""What the doctor knows: plain values, so that each check is a pure function and a test makes its case.

None means throughout that nobody could look: Redis is away, or its user may not ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

from corral.doctor.findings import known
from corral.observe.standing import BreakerStanding, WorkerStanding
from corral.policy import RateLimit, Retention
from corral.scaling import ScalingDecision
from corral.settings import Settings

#: Who can reach an address: this machine, a private network, everybody.
Reach = Literal["local", "private", "public", "unknown"]

_NO_PASSWORD = SecretStr("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where Redis is. `shown` is the address without a login. named: its name has an address."""

    shown: str = "redis://127.0.0.1:6379"
    tls: bool = False
    reach: Reach = "local"
    named: bool = True
    password: SecretStr = _NO_PASSWORD


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The Redis or Valkey server, as INFO, CONFIG GET, TIME and a few tries tell it."""

    product: str = "redis"
    version: tuple[int, ...] | None = None
    #: Commands that the user may not run, as `INFO`.
    refused: tuple[str, ...] = ()
    #: A client that shows no password is served.
    lets_anyone_in: bool | None = None
    append_only: bool | None = None
    #: appendfsync: always, everysec, no.
    fsync: str | None = None
    #: A snapshot is written so many seconds after so many changes.
    snapshots: tuple[tuple[int, int], ...] | None = None
    append_failing: bool | None = None
    snapshot_failing: bool | None = None
    used_bytes: int | None = None
    #: 0: no limit.
    limit_bytes: int | None = None
    machine_bytes: int | None = None
    eviction: str | None = None
    clients: int | None = None
    max_clients: int | None = None
    role: str | None = None
    #: Seconds since each replica was last heard of.
    replicas: tuple[int, ...] | None = None
    #: How far the server's clock is ahead of this machine's, give or take half a round trip.
    ahead_seconds: float | None = None
    round_trip_seconds: float | None = None
    #: What a worker may not do, in words; "": nothing lacks.
    lacking_rights: str | None = None
    #: Connections of workers, BullMQ's or ours: addresses of machines, one a connection, by queue.
    worker_hosts: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What the code says of a queue."""

    retention: Retention = Retention()  # noqa: RUF009  # frozen
    rate_limit: RateLimit | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """A queue that Redis holds. `declared` is None if no code that was loaded declares it."""

    name: str
    declared: Declared | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    paused: bool = False
    #: Set on the queue itself, over all workers.
    rate_limit: RateLimit | None = None
    #: The last Node client, `bullmq:6.7.0`.
    written_by: str | None = None
    #: What told of a BullMQ 5 client.
    old_clients: str | None = None
    #: Job names that no handler knows.
    unknown_names: tuple[str, ...] | None = None
    #: Overdue seconds of schedules that are late.
    late_schedules: Mapping[str, float] | None = None

    @property
    def waiting(self) -> int:
        """Jobs that a worker could start now."""
        return self.counts.get("waiting", 0) + self.counts.get("prioritized", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFile:
    """A file that holds secrets, and who may read it (the bits of its mode).

    mounted: a setting NAME_FILE names it, as it does what a container platform mounts.
    """

    path: str
    mode: int
    mounted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """This process and its machine, which should be like a worker's."""

    #: Soft limit of open files; None: the system has none to ask.
    open_files: int | None = None
    #: Log lines would go to a terminal.
    terminal: bool = False
    #: What stops the process in the end: kubernetes, docker, systemd or "".
    orchestrator: str = ""
    secret_files: tuple[SecretFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything at one moment. `at`: epoch seconds by this machine's clock."""

    at: float
    settings: Settings
    machine: Machine = Machine()
    place: Place = Place()
    #: Why Redis did not answer; "": it did.
    unreachable: str = ""
    server: Server | None = None
    queues: tuple[QueueFacts, ...] | None = None
    workers: tuple[WorkerStanding, ...] | None = None
    breakers: tuple[BreakerStanding, ...] | None = None
    #: The newest decision on how many worker processes there should be.
    last_scaling: ScalingDecision | None = None

    @property
    def answering_server(self) -> Server:
        """Raises Unknown if Redis is away."""
        return known(self.server, self._why("Redis was not asked in time"))

    @property
    def found_queues(self) -> tuple[QueueFacts, ...]:
        """Raises Unknown if they could not be listed."""
        remedy = "" if self.unreachable else _MAY_SCAN
        return known(self.queues, self._why("the queues could not be listed"), remedy)

    @property
    def registered_workers(self) -> tuple[WorkerStanding, ...]:
        """Raises Unknown if their registry could not be read."""
        return known(self.workers, self._why("the workers' registry could not be read"))

    @property
    def found_breakers(self) -> tuple[BreakerStanding, ...]:
        """Raises Unknown if they could not be read."""
        return known(self.breakers, self._why("the breakers could not be read"))

    def runs(self, queue: str) -> bool:
        """Whether a queue is used here: Redis holds it, or a worker serves it."""
        return any(found.name == queue for found in self.queues or ()) or any(
            queue in worker.queues for worker in self.workers or ()
        )

    def _why(self, otherwise: str) -> str:
        return f"Redis does not answer ({self.unreachable})" if self.unreachable else otherwise


_MAY_SCAN = "Run the doctor as a Redis user with +scan +info beside the rights of docs/engine/servers.md."
