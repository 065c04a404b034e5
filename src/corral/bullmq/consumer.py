"""What a worker asks of Redis: step (settle and fetch), wait for work, keep locks, rescue, recover.

Thin: it packs arguments and unpacks answers. When to call what is the worker's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import redis
import redis.asyncio as aioredis

from corral.bullmq.grouping import heal
from corral.bullmq.hooking import finish_and_tell
from corral.bullmq.keys import QueueKeys, signal_key
from corral.bullmq.scripts import official, ours
from corral.bullmq.settlement import COMPLETED, COMPLETED_VALUES, FAILED, FAILED_VALUES, Settlement
from corral.bullmq.settlement import told as told_of
from corral.policy import RateLimit
from corral.sealing import Sealing

#: Records of what was fetched last, used in turn. A worker has two calls under way, and asks for what a lost
#: answer held before it fetches again.
RECORDS = 4

#: A server that ends a blocking read so late hangs. Below a cluster's usual time-out for a node (15 s).
LATE_SECONDS = 5.0

_pack = msgspec.msgpack.Encoder().encode


def _nobody(_: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Step:
    """Answer to one step."""

    problems: list[tuple[str, int]]
    #: What makes a `Fetched` each, the id first.
    jobs: list[list[Any]]
    rate_ttl_ms: int
    next_due_ms: int
    now_ms: int
    stopped: bool

    @property
    def stamp(self) -> str:
        """What a job that this call fetched without a lock is held by."""
        return f"@{self.now_ms}"


class Consumer:
    """One worker's view of one queue."""

    def __init__(
        self,
        client: aioredis.Redis,
        blocking: aioredis.Redis,
        keys: QueueKeys,
        *,
        worker: str,
        lock_seconds: float,
        rate_limit: RateLimit | None,
        feed: str = "",
        group_limits: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> None:
        """`feed` is unique among all that fetch from this queue; without it, every job is locked at once."""
        self.keys = keys
        self.client = self._client = client
        self._blocking = blocking
        self._worker = worker
        self._lock_ms = round(lock_seconds * 1000)
        self._lock_text = str(self._lock_ms)
        self._records = [keys.fetched(feed, n) for n in range(RECORDS)] if feed else [""]
        self._calls = 0
        #: Told of each job whose lock is written on demand.
        self.on_locked: Callable[[str], None] = _nobody
        self._limit = (rate_limit.jobs, round(rate_limit.per * 1000)) if rate_limit else (0, 0)
        #: Monotonic time until which reports of jobs (progress, log rows) are dropped; see `context.py`.
        self.deaf_until = 0.0
        self._group_limits = group_limits
        #: For what a job says of itself while it runs.
        self.sealing: Sealing | None = None
        self._step = ours("step")
        self._step_keys = [
            keys.wait,
            keys.active,
            keys.prioritized,
            keys.events,
            keys.stalled,
            keys.limiter,
            keys.delayed,
            keys.meta,
            keys.pc,
            keys.marker,
            keys.completed,
            keys.failed,
        ]

    @property
    def defers_locks(self) -> bool:
        return self._records != [""]

    def next_record(self) -> str:
        """Where the next fetch is written down; `recover` reads it if its answer gets lost."""
        self._calls += 1
        return self._records[self._calls % len(self._records)]

    async def step(
        self, token: str, slots: int, settled: list[Settlement], *, record: str = "", now_ms: int = 0
    ) -> Step:
        """Settle jobs and fetch up to `slots`. One round trip. `now_ms` 0: the server's clock.

        With a `record`, jobs that never ran are held by their stamp (`Step.stamp`), else all by `token`.
        """
        argument = _pack(
            (
                self.keys.base,
                now_ms,
                token,
                self._lock_text,
                self._worker,
                slots,
                *self._limit,
                settled,
                record,
                self._group_limits,
            )
        )
        problems, jobs, rate_ttl, due, now, stopped = await self._step(
            self._client, self._step_keys, argument
        )
        for values in jobs:
            values[0] = values[0].decode()
        return Step(
            [(problems[i].decode(), problems[i + 1]) for i in range(0, len(problems), 2)] if problems else [],
            jobs,
            rate_ttl,
            int(due),
            int(now),
            bool(stopped),
        )

    async def finish_officially(self, entry: Settlement, *, now_ms: int) -> int:
        """Settle a completed or failed job that has a parent, children or a deduplication id.

        One round trip. Returns 0, or BullMQ's error code: -1 job gone, -2 lock gone, -3 not active,
        -4 children still pending, -6 lock of another, -9 children failed; or 2: its hooks were not added.
        """
        job_id, token, kind = entry[:3]
        keys = self.keys
        outcome = "completed" if kind == COMPLETED else "failed"
        count, age = entry[4:6] if kind == COMPLETED else entry[5:7]
        keep = {"count": count} | ({} if age < 0 else {"age": age})
        options = {
            "token": token,
            "keepJobs": keep,
            "lockDuration": self._lock_ms,
            "attempts": entry[7] if kind == FAILED else 1,
            "maxMetricsSize": "",
            "name": self._worker,
        }
        fields = [] if kind == COMPLETED else ["failedReason", entry[3], "stacktrace", entry[4]]
        if kind == FAILED and len(entry) > FAILED_VALUES:
            fields += entry[9] or []
        elif kind == COMPLETED and len(entry) > COMPLETED_VALUES:
            fields += entry[COMPLETED_VALUES]
        told = told_of(entry)
        script = official("moveToFinished") if told is None else finish_and_tell()
        answer = await script(
            self._client,
            [
                keys.wait,
                keys.active,
                keys.prioritized,
                keys.events,
                keys.stalled,
                keys.limiter,
                keys.delayed,
                keys.paused,
                keys.meta,
                keys.pc,
                keys.base + outcome,
                keys.job(job_id),
                keys.metrics(outcome),
                keys.marker,
            ],
            job_id,
            now_ms,
            "returnvalue" if kind == COMPLETED else "failedReason",
            entry[3],
            outcome,
            "0",
            keys.base,
            _pack(options),
            _pack(fields) if fields else "",
            *([] if told is None else [_pack(told)]),
        )
        return answer if isinstance(answer, int) else 0

    async def wait_for_work(self, timeout_seconds: float) -> int | None:
        """Sleep until the queue's marker appears, at most so long.

        Returns 0 for "there is work", the time in epoch ms at which a delayed job is due, or None.
        """
        # The client itself never gives up (see connection.py), so a half-open socket must be noticed here.
        async with asyncio.timeout(timeout_seconds + LATE_SECONDS):
            popped = await self._blocking.bzpopmin(self.keys.marker, timeout_seconds)
        return None if popped is None else int(popped[2])

    async def wake_another(self) -> None:
        """Put back a marker that was taken by a worker which takes no jobs. One round trip."""
        await self._client.zadd(self.keys.marker, {"0": 0})

    async def sweep_stalled(self, max_stalled: int, interval_seconds: float, now_ms: int) -> list[str]:
        """Mark active jobs and put back those marked earlier whose lock ran out. One round trip.

        One worker in each interval does it, whichever comes first. Returns the ids that went back.
        """
        keys = self.keys
        ids = await official("moveStalledJobsToWait")(
            self._client,
            [
                keys.stalled,
                keys.wait,
                keys.active,
                keys.stalled_check,
                keys.meta,
                keys.paused,
                keys.marker,
                keys.events,
                keys.repeat,
            ],
            max_stalled,
            keys.base,
            now_ms,
            round(interval_seconds * 1000),
        )
        return [job_id.decode() for job_id in ids]

    async def names(self, job_ids: list[str]) -> list[bytes]:
        """Names of these jobs, as far as they exist. One round trip."""
        pipe = self._client.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.hget(self.keys.job(job_id), "name")
        return [name for name in await pipe.execute() if name is not None]

    async def heal_groups(self, interval_seconds: float) -> None:
        """Free places in groups whose jobs no longer run. One round trip; more if groups are many."""
        await heal(self._client, self.keys, round(interval_seconds * 1000))

    async def recover(self, calls: list[tuple[str, str]]) -> list[str]:
        """Put back jobs fetched by calls (record, token) whose answer was lost. One round trip."""
        keys = self.keys
        ids = await ours("recover")(
            self._client,
            [keys.active, keys.wait, keys.prioritized, keys.stalled, keys.meta, keys.marker, keys.events],
            keys.base,
            _pack(calls),
        )
        return [job_id.decode() for job_id in ids]

    async def progress(self, job_id: str, value: str) -> None:
        """Store progress (JSON) and tell whoever listens. One round trip."""
        keys = self.keys
        await official("updateProgress")(
            self._client, [keys.job(job_id), keys.events, keys.meta], job_id, value
        )

    async def log(self, job_id: str, row: str, keep: int) -> None:
        """Append a log row; the last `keep` stay. One round trip."""
        await official("addLog")(
            self._client, [self.keys.job(job_id), self.keys.logs(job_id)], job_id, row, keep
        )

    async def store(
        self, job_id: str, token: str, field: str, value: str, *, timed: str | None = None
    ) -> bool:
        """Write a field of a job this worker holds. One round trip. False: the lock is no longer ours.

        timed: a field for when that was.
        """
        stored = await ours("store")(
            self._client,
            [self.keys.job(job_id), f"{self.keys.job(job_id)}:lock", self.keys.active],
            token,
            field,
            value,
            job_id,
            *([] if timed is None else [timed]),
        )
        return bool(stored)

    async def lock_now(self, job_id: str, token: str) -> bool:
        """See that a job that was fetched without a lock has one: BullMQ's scripts for families ask for it.

        One round trip; none for a job that has a lock from the start. False: the job is no longer ours.
        """
        if not token.startswith("@"):
            return True
        self.on_locked(job_id)
        lost = await ours("keep_locks")(
            self.client,
            [self.keys.active, self.keys.stalled],
            self.keys.base,
            self._lock_ms,
            _pack([(job_id, token)]),
        )
        return not lost

    async def release_lock(self, job_id: str, token: str) -> None:
        """Delete the lock of a job if it is still this one. One round trip."""
        await official("releaseLock")(self._client, [f"{self.keys.job(job_id)}:lock"], token, "0")

    async def signal_payload(self, signal: str) -> tuple[bytes | None, float]:
        """The payload of a signal that came, and the server's time in epoch seconds. One round trip."""
        pipe = self._client.pipeline(transaction=False)
        pipe.hget(signal_key(self.keys.prefix, signal), "payload")
        pipe.time()
        payload, (seconds, microseconds) = await pipe.execute()
        return None if payload is None else bytes(payload), seconds + microseconds / 1_000_000


def keep_locks(client: redis.Redis, keys: QueueKeys, locks: dict[str, str], lock_seconds: float) -> list[str]:
    """Renew locks (job id to token), or write them for the first time. One round trip.

    Returns the ids that are no longer ours. Blocking: it runs in a thread of its own, so that a busy event
    loop costs no lock.
    """
    ids = ours("keep_locks").run_sync(
        client,
        [keys.active, keys.stalled],
        keys.base,
        round(lock_seconds * 1000),
        _pack(list(locks.items())),
    )
    return [job_id.decode() for job_id in ids]
