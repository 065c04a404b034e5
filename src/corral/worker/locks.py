"""Keeps the locks of running jobs alive, from one thread with its own connection.

A thread, because a lock must outlive a busy event loop: a handler that computes for a minute without
waiting would otherwise lose its job to another worker. It renews all locks of a queue in one call, at a
third of their life, so that two failed calls in a row cost nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import redis
import structlog
from redis.exceptions import RedisError

from corral.bullmq.connection import Address, thread_client
from corral.bullmq.consumer import extend_locks
from corral.bullmq.keys import QueueKeys

log = structlog.get_logger(__name__)

#: After a failed renewal.
RETRY_SECONDS = 0.5


class LockTable:
    """Locks held for one queue: job id to token. The event loop writes, the thread reads copies."""

    def __init__(self, keys: QueueKeys, on_lost: Callable[[dict[str, str]], None]) -> None:
        self.keys = keys
        self.held: dict[str, str] = {}
        self.on_lost = on_lost  # called in the thread


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
        wait = self.lock_seconds / 3
        try:
            while not self._stop.wait(wait):
                try:
                    self._round(client)
                    wait = self.lock_seconds / 3
                except (RedisError, OSError) as error:
                    log.warning("lock_renewal_failed", error=type(error).__name__)
                    wait = min(RETRY_SECONDS, self.lock_seconds / 6)
        finally:
            client.close()

    def _round(self, client: redis.Redis) -> None:
        for table in self._tables:
            held = table.held.copy()
            if held:
                lost = extend_locks(client, table.keys, held, self.lock_seconds)
                if lost:
                    table.on_lost({job_id: held[job_id] for job_id in lost})
        self.last_round = time.monotonic()
