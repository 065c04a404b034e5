"""Keeps the locks of running jobs alive, from one thread with its own connection.

A thread, because a lock must outlive a busy event loop: a handler that computes for a minute without
waiting would otherwise lose its job to another worker. It renews all locks of a queue in one call, at a
third of their life, so that two failed calls in a row cost nothing.

A job that never ran before comes without a lock and gets it here when it has run for a moment (see step.lua):
most jobs are done by then, and a lock is a fifth of what a short job costs Redis.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import redis
import structlog
from redis.exceptions import RedisError

from corral.bullmq.connection import Address, thread_client
from corral.bullmq.consumer import keep_locks
from corral.bullmq.keys import QueueKeys
from corral.bullmq.settlement import Settlement

log = structlog.get_logger(__name__)

#: After a failed renewal.
RETRY_SECONDS = 0.5

#: How often jobs without a lock are looked at; one that was seen twice gets its lock.
FIRST_LOOK_SECONDS = 0.5

#: Locks in one call, which holds the server for about 5 ms.
MAX_LOCKS = 1_000


class LockTable:
    """Locks held for one queue: job id to token. The event loop writes, the thread reads copies."""

    def __init__(self, keys: QueueKeys, on_lost: Callable[[dict[str, str]], None]) -> None:
        self.keys = keys
        self.held: dict[str, str] = {}
        self.on_lost = on_lost  # called in the thread
        #: Jobs fetched without a lock that got or will get one now. The thread adds, the loop takes out.
        self._written: set[str] = set()
        self._seen: dict[str, str] = {}

    def note_written(self, job_id: str) -> None:
        """In the loop: the lock of this job was written because somebody needed it."""
        self._written.add(job_id)

    def with_marks(self, settled: list[Settlement]) -> list[Settlement]:
        """Settlements as they travel: a stamp whose lock was written says so, and the lock goes with it."""
        if not self._written:
            return settled
        return [
            [entry[0], "!" + entry[1][1:], *entry[2:]]
            if entry[0] in self._written and entry[1].startswith("@")
            else entry
            for entry in settled
        ]

    def strays(self, sent: list[Settlement]) -> list[tuple[str, str]]:
        """Locks of settled jobs that were written too late for `with_marks`."""
        if not self._written:
            return []
        ended = [entry for entry in sent if entry[0] in self._written]
        self._written.difference_update(entry[0] for entry in ended)
        return [(entry[0], entry[1]) for entry in ended if entry[1].startswith("@")]

    def due(self, *, everything: bool) -> dict[str, str]:
        """In the thread: locks to renew, or those to write for the first time."""
        held = self.held.copy()
        self._written.intersection_update(held)  # jobs that were lost
        fresh = {i: t for i, t in held.items() if t.startswith("@") and i not in self._written}
        first = {i: t for i, t in fresh.items() if self._seen.get(i) == t}
        self._seen = fresh
        due = held if everything else first
        self._written.update(i for i, t in due.items() if t.startswith("@"))
        return due


class LockKeeper:
    """One thread for all queues of a worker."""

    def __init__(self, address: Address, lock_seconds: float) -> None:
        self.address = address
        self.lock_seconds = lock_seconds
        self._tables: list[LockTable] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="corral-locks", daemon=True)
        #: Loop-independent time of the last round that reached Redis; a health check reads it.
        self.last_round = time.monotonic()

    def add(self, table: LockTable) -> None:
        self._tables.append(table)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        client: redis.Redis = thread_client(self.address)
        look = min(FIRST_LOOK_SECONDS, self.lock_seconds / 6)
        renew_at = time.monotonic() + self.lock_seconds / 3
        try:
            while not self._stop.wait(look):
                everything = time.monotonic() >= renew_at
                try:
                    self._round(client, everything=everything)
                except (RedisError, OSError) as error:
                    log.warning("lock_renewal_failed", error=type(error).__name__)
                    renew_at = time.monotonic() + min(RETRY_SECONDS, self.lock_seconds / 6)
                else:
                    if everything:
                        renew_at = time.monotonic() + self.lock_seconds / 3
        finally:
            client.close()

    def _round(self, client: redis.Redis, *, everything: bool) -> None:
        for table in self._tables:
            due = list(table.due(everything=everything).items())
            for start in range(0, len(due), MAX_LOCKS):
                part = dict(due[start : start + MAX_LOCKS])
                lost = keep_locks(client, table.keys, part, self.lock_seconds)
                if lost:
                    table.on_lost({job_id: part[job_id] for job_id in lost})
        self.last_round = time.monotonic()
