"""One evaluator among many processes: who holds the lease leads, and alone writes the ledger.

Guarantees: a change is written before anything is done that follows from it, by a script that compares the
lease's token. So who lost the lease without knowing it, because it was stopped or cut off, finds out at its
next change, and does nothing. A leader that dies is followed within LEASE_SECONDS and a turn of the others.

Emits: alerts_leading, alerts_not_leading (info).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence

import redis.asyncio as aioredis
import structlog
from redis.exceptions import RedisError

from corral.bullmq import alerting
from corral.observe.alerts.acknowledging import Acknowledgement
from corral.observe.alerts.ledger import Ledger
from corral.observe.alerts.machine import Event
from corral.observe.alerts.silence import Silence
from corral.observe.alerts.storing import encoded, read_acknowledged, read_ledger, read_silences

log = structlog.get_logger(__name__)


class Leadership:
    """The lease, and the ledger while it is ours.

    client: asked at each call, so that it is the running loop's. clock: monotonic seconds.
    """

    def __init__(
        self,
        client: Callable[[], aioredis.Redis],
        prefix: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._clock = clock
        self._ahead = 0.0
        self._turn = asyncio.Lock()
        self._leads = False
        self._ledger: Ledger | None = None
        #: As of the last `hold`, whoever leads; also those that are over.
        self.silences: list[Silence] = []
        #: The same; also of what fires no more.
        self.acknowledged: list[Acknowledgement] = []
        #: The pid alone is not unique: a container's is 1 on every host.
        self.token = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(6)}"

    @property
    def ledger(self) -> Ledger | None:
        """What this process leads by; None: it does not lead."""
        return self._ledger

    def now(self) -> float:
        """Epoch seconds by the server's clock, as of the last `hold`."""
        return self._clock() + self._ahead

    async def hold(self) -> bool:
        """Take or keep the lease. One round trip. Raises what redis-py raises."""
        async with self._turn:
            lease = await alerting.take_lease(
                self._client(), self._prefix, self.token, need_state=self._ledger is None
            )
            self._ahead = lease.now - self._clock()
            self.silences = read_silences(lease.silences)
            self.acknowledged = read_acknowledged(lease.acknowledged)
            if not lease.held:
                self._lost()
            elif lease.is_new or self._ledger is None:
                self._ledger = read_ledger(lease.state)
                if not self._leads:
                    log.info("alerts_leading", alerts=len(self._ledger.alerts))
                self._leads = True
            return lease.held

    async def change(self, change: Callable[[Ledger], Ledger], events: Sequence[Event] = ()) -> bool:
        """Write what `change` makes of the ledger. False: another leads, and nothing was written.

        One round trip. Raises what redis-py raises; whether it was written is then not known, and the ledger
        is read again.
        """
        async with self._turn:
            if self._ledger is None:
                return False
            after = change(self._ledger)
            rows = [encoded(event) for event in events]
            try:
                written = await alerting.commit(
                    self._client(), self._prefix, self.token, encoded(after), rows
                )
            except BaseException:
                self._ledger = None
                raise
            if not written:
                self._lost()
                return False
            self._ledger = after
            return True

    async def release(self) -> None:
        """Let another lead at once. Raises nothing: a lease that cannot be given back runs out."""
        if self._leads:
            self._leads, self._ledger = False, None
            with contextlib.suppress(RedisError, OSError):
                await alerting.release(self._client(), self._prefix, self.token)

    def _lost(self) -> None:
        if self._leads:
            log.info("alerts_not_leading")
        self._leads, self._ledger = False, None
