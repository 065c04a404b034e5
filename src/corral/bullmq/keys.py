"""Every Redis key that Corral touches, and nothing else.

BullMQ's own keys are `<prefix>:<queue>:<suffix>`. What BullMQ does not know lives outside that space,
under `corral:<prefix>:…`, because BullMQ's removeOrphanedJobs deletes any key in it that it cannot name.
A prefix in braces (`{bull}`) stays in braces there, so that Redis Cluster keeps both in one slot.
"""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple

from corral.errors import InvalidOptions

#: Longest queue name that Corral accepts; names become part of every key and of metric labels.
MAX_QUEUE_NAME = 100

#: What follows a queue's base in keys of its own; a job of such an id would be written over them.
_TAKEN = frozenset(
    (
        "wait", "paused", "active", "prioritized", "delayed", "waiting-children", "completed", "failed",
        "stalled", "stalled-check", "limiter", "meta", "id", "pc", "marker", "events", "repeat",
        "metrics:completed:data", "metrics:failed:data",
    )
)  # fmt: skip


class QueueKeys:
    """The keys of one queue, made once."""

    __slots__ = (
        "active", "base", "completed", "delayed", "events", "failed", "id", "limiter", "marker", "meta",
        "name", "paused", "pc", "prefix", "prioritized", "repeat", "stalled", "stalled_check", "wait",
        "waiting_children",
    )  # fmt: skip

    def __init__(self, prefix: str, name: str) -> None:
        check_queue_name(name)
        self.prefix = prefix
        self.name = name
        base = self.base = f"{prefix}:{name}:"
        self.wait = base + "wait"
        self.paused = base + "paused"
        self.active = base + "active"
        self.prioritized = base + "prioritized"
        self.delayed = base + "delayed"
        self.waiting_children = base + "waiting-children"
        self.completed = base + "completed"
        self.failed = base + "failed"
        self.stalled = base + "stalled"
        self.stalled_check = base + "stalled-check"
        self.limiter = base + "limiter"
        self.meta = base + "meta"
        self.id = base + "id"
        self.pc = base + "pc"
        self.marker = base + "marker"
        self.events = base + "events"
        self.repeat = base + "repeat"

    def job(self, job_id: str) -> str:
        return self.base + job_id

    def logs(self, job_id: str) -> str:
        return f"{self.base}{job_id}:logs"

    def metrics(self, outcome: str) -> str:
        return f"{self.base}metrics:{outcome}"

    def dedup(self, dedup_id: str) -> str:
        """Which job holds a deduplication id."""
        return f"{self.base}de:{dedup_id}"

    def once(self, idempotency_key: str) -> str:
        """Where an idempotency key is remembered. Hashed: a caller's key may be long, or personal."""
        digest = hashlib.blake2b(idempotency_key.encode(), digest_size=16).hexdigest()
        return f"corral:{self.prefix}:{self.name}:once:{digest}"

    def fetched(self, feed: str, number: int) -> str:
        """What a feed fetched last, in case the answer gets lost."""
        return f"corral:{self.prefix}:{self.name}:fetched:{feed}:{number}"

    def children(self, job_id: str) -> ChildrenKeys:
        """Where a parent's children are noted."""
        job = self.base + job_id
        return ChildrenKeys(f"{job}:dependencies", f"{job}:processed", f"{job}:failed", f"{job}:unsuccessful")

    @property
    def stuck_check(self) -> str:
        """Who holds it looks for stuck parents; the others leave it to him."""
        return f"corral:{self.prefix}:{self.name}:stuck-check"

    @property
    def old_clients(self) -> str:
        """What was seen of BullMQ 5 on this queue within a day."""
        return self.own() + "old-clients"

    def schedule(self, schedule_id: str) -> str:
        """The hash of a job scheduler."""
        return f"{self.repeat}:{schedule_id}"

    def schedules(self, what: str) -> str:
        """What Corral itself keeps of a queue's schedules: `paused`, `last`, `declared`, `sweep`."""
        return f"corral:{self.prefix}:{self.name}:schedules:{what}"

    def own(self) -> str:
        """What all keys of this queue begin with that BullMQ does not know."""
        return f"corral:{self.prefix}:{self.name}:"

    def janitor(self) -> str:
        """Held by the worker that applies the retention in this interval."""
        return self.own() + "janitor"

    def forgotten(self) -> str:
        """Up to when (epoch milliseconds) the data of failed jobs was forgotten."""
        return self.own() + "forgotten"

    def unknown_names(self) -> str:
        """Hash of job names that no worker knew lately, and when one was looked at (epoch milliseconds)."""
        return self.own() + "stats:unknown"

    def stats_names(self) -> str:
        """Zset of job names by when they last did something (epoch milliseconds)."""
        return self.own() + "stats:names"

    def dead(self) -> str:
        """What all keys of this queue's dead letter desk begin with; see `DeadKeys`."""
        return self.own() + "dead:"

    def bulk(self) -> str:
        """What all keys of operations on this queue's jobs begin with; see `bullmq.operations`."""
        return self.own() + "bulk:"

    def client_name(self, worker: str) -> str:
        """How BullMQ's getWorkers() recognises a worker's connection in CLIENT LIST."""
        return f"{self.prefix}:{base64.b64encode(self.name.encode()).decode()}:w:{worker}"


class ChildrenKeys(NamedTuple):
    """Keys of one parent. A child is in one of them: the last three say how it ended."""

    pending: str
    completed: str
    ignored: str
    failed: str


def split_job_key(prefix: str, key: str) -> tuple[str, str]:
    """(queue, id) of a job's key. A key of another prefix is cut at its last colon, as BullMQ does."""
    if key.startswith(prefix + ":"):
        queue, _, job_id = key[len(prefix) + 1 :].partition(":")
        return queue, job_id
    base, _, job_id = key.rpartition(":")
    return base.rpartition(":")[2], job_id


class GroupKeys:
    """The keys of a queue's groups; what they hold says lua/groups.lua, which makes the same names."""

    __slots__ = ("_own", "all", "healed", "limited", "limits", "paused", "ready")

    def __init__(self, keys: QueueKeys) -> None:
        own = self._own = f"corral:{keys.base}group"
        self.all = own + "s:all"
        self.healed = own + "s:healed"
        self.limited = own + "s:limited"
        self.limits = own + "s:limits"
        self.paused = own + "s:paused"
        self.ready = own + "s:ready"

    def jobs(self, group: str) -> str:
        return f"{self._own}:{group}:jobs"

    def active(self, group: str) -> str:
        return f"{self._own}:{group}:active"

    def window(self, group: str) -> str:
        return f"{self._own}:{group}:window"


class DeadKeys:
    """The keys of a queue's dead letter desk; what they hold say lua/dead_*.lua, which make the same
    names.
    """

    __slots__ = ("groups", "indexed", "live", "operations", "own", "state", "turn")

    def __init__(self, keys: QueueKeys) -> None:
        own = self.own = keys.dead()
        #: Groups by when they were seen last.
        self.groups = own + "groups"
        #: In which group each indexed job is.
        self.indexed = own + "of"
        self.state = own + "state"
        #: Operations by when they began, and those that have not ended.
        self.operations = own + "ops"
        self.live = own + "ops:live"
        #: Held by the worker that tends the desk in this interval.
        self.turn = own + "turn"

    def group(self, group: str) -> str:
        return f"{self.own}group:{group}"

    def facts(self, group: str) -> str:
        return f"{self.own}facts:{group}"

    def notes(self, group: str) -> str:
        return f"{self.own}notes:{group}"

    def operation(self, operation: str) -> str:
        return f"{self.own}op:{operation}"

    def original(self, job_id: str) -> str:
        """The data of a job before it was edited."""
        return f"{self.own}original:{job_id}"


def mailgun_token_key(prefix: str, token: str) -> str:
    """Where a webhook's token is remembered. Hashed, because its length is the sender's choice."""
    digest = hashlib.blake2b(token.encode(), digest_size=16).hexdigest()
    return f"corral:{prefix}:mailgun-token-{digest}"


def signal_key(prefix: str, signal: str) -> str:
    """Where a signal and its waiter meet; signals are not bound to a queue."""
    return f"corral:{prefix}:signal:{signal}"


def control_channel(prefix: str) -> str:
    """Where workers listen for what concerns jobs they run, one channel for all queues of a prefix."""
    return f"corral:{prefix}:control"


class BreakerKeys(NamedTuple):
    """The keys of one breaker, for all queues of a prefix. The empty part is no queue's name."""

    state: str
    #: Zset: `queue:id` of each held job, with its score in `delayed`: that tells the hold from a later delay.
    held: str


def breaker_keys(prefix: str, breaker: str) -> BreakerKeys:
    base = f"corral:{prefix}::breaker:{breaker}"
    return BreakerKeys(base, f"{base}:held")


def breakers_known(prefix: str) -> str:
    """Set of the breakers that ever opened."""
    return f"corral:{prefix}::breakers"


def breakers_live(prefix: str) -> str:
    """Set of the breakers that are open or still hold jobs: what workers look after."""
    return f"corral:{prefix}::breakers:live"


def worker_key(prefix: str, name: str) -> str:
    """What a worker process says of itself."""
    return f"corral:{prefix}::worker:{name}"


def worker_order(prefix: str, name: str) -> str:
    """What a worker process was told to do."""
    return f"corral:{prefix}::worker:{name}:order"


def scaling_key(prefix: str) -> str:
    """Stream of the decisions on how many worker processes there should be."""
    return f"corral:{prefix}::scaling"


def fleet_key(prefix: str) -> str:
    """What the hashes begin with of how many worker processes there were: see `bullmq.fleets`."""
    return f"corral:{prefix}::fleet"


def queues_noted(prefix: str) -> str:
    """Set of the names of the queues that the last walk over the key space found."""
    return f"corral:{prefix}::queues"


def workers_known(prefix: str) -> str:
    """Set of the names of worker processes."""
    return f"corral:{prefix}::workers"


def flushed_key(prefix: str, writer: str) -> str:
    """The number of the last batch of statistics that a worker process wrote."""
    return f"corral:{prefix}::flushed:{writer}"


def releases_key(prefix: str) -> str:
    """Zset of the releases that workers had, by when the first of each came (epoch milliseconds)."""
    return f"corral:{prefix}::releases"


def objectives_key(prefix: str) -> str:
    """Hash: what the workers of each queue last said its objective is, in JSON."""
    return f"corral:{prefix}::objectives"


def dead_queues(prefix: str) -> str:
    """Set of the queues that ever had a group of dead letters."""
    return f"corral:{prefix}::dead:queues"


def audit_key(prefix: str) -> str:
    """Stream of what operators changed. The empty part is no queue's name."""
    return f"corral:{prefix}::audit"


def session_key(prefix: str, digest: str) -> str:
    """A session of the dashboard, by the hash of its token."""
    return f"corral:{prefix}::session:{digest}"


def user_sessions_key(prefix: str, digest: str) -> str:
    """The sessions of one user of the dashboard, by the hash of the name: digests, scored by their end."""
    return f"corral:{prefix}::sessions:{digest}"


def attempts_key(prefix: str, digest: str) -> str:
    """How often somebody tried to sign in, by the hash of who: names are personal and of any length."""
    return f"corral:{prefix}::signin:{digest}"


def browser_key(prefix: str, digest: str) -> str:
    """A browser that somebody has signed in with, by the hash of what it keeps."""
    return f"corral:{prefix}::browser:{digest}"


def used_key(prefix: str, digest: str) -> str:
    """Something that counts once, by its hash."""
    return f"corral:{prefix}::used:{digest}"


class AlertKeys(NamedTuple):
    """The keys of the alerts of a prefix: who evaluates, what fires and is to be sent, what was,
    silences, acknowledgements.
    """

    lease: str
    state: str
    history: str
    silences: str
    acknowledged: str


def alert_keys(prefix: str) -> AlertKeys:
    base = f"corral:{prefix}::alerts"
    return AlertKeys(f"{base}:lease", base, f"{base}:history", f"{base}:silences", f"{base}:acknowledged")


class ApiKeysKeys(NamedTuple):
    """The managed API keys of a prefix. The empty part is no queue's name."""

    #: Hash: a record in JSON by id.
    records: str
    #: A number that every change counts up.
    version: str
    #: Hash: epoch seconds of the last use by id.
    used: str


def api_keys_keys(prefix: str) -> ApiKeysKeys:
    base = f"corral:{prefix}::api-keys"
    return ApiKeysKeys(base, f"{base}:version", f"{base}:used")


def suppressed_keys(prefix: str) -> tuple[str, str]:
    """Where suppressed mail addresses are: their reasons, and their order. See `corral.mail.suppression`.

    No colon in the last part: what goes with an obliterated queue begins with its name and a colon.
    """
    reasons = f"corral:{prefix}:mail-suppressed"
    return reasons, f"{reasons}-order"


def check_queue_name(name: str) -> None:
    """Raise InvalidOptions for a name that BullMQ's keys cannot hold."""
    if not name or ":" in name or len(name) > MAX_QUEUE_NAME or any(c.isspace() for c in name):
        raise InvalidOptions(
            f"{name!r} cannot name a queue: 1 to {MAX_QUEUE_NAME} characters, no colon, no white space."
        )


def check_job_id(job_id: str) -> None:
    """Raise InvalidOptions for a custom id that BullMQ refuses: numbers and colons are its own."""
    if not job_id or job_id == "0" or job_id.startswith("0:") or job_id in _TAKEN:
        raise InvalidOptions(f"{job_id!r} cannot be a job id: BullMQ keeps it for itself.")
    if job_id.removeprefix("-").isdecimal():
        raise InvalidOptions(f"{job_id!r} cannot be a job id: the queue itself gives out whole numbers.")
    if ":" in job_id and job_id.count(":") != 2:
        raise InvalidOptions(f"{job_id!r} cannot be a job id: it must not contain a colon.")
