"""Suspects: jobs that were in a process when it died, or that stalled for another reason.

Which of all that were aboard did it? Each gets another run. In one process suspects start one after the
other, so that the next death tells: a suspect that was the only one, and running, is guilty; one that waited
for its turn, or ran beside another suspect, is not. Jobs that never stalled do not wait, nor pay.

A suspect that is alone is marked in its hash with the run and with how often it had stalled by then. Whoever
fetches it after that run stalled too finds the mark of that very run. One more round trip, of suspects alone.

After one death nobody waits behind a suspect for longer than ALONE_SECONDS: the next starts beside it then,
and neither is marked, so that a hundred long jobs of a process that was killed are soon all at work again.
One that takes longer to kill passes as innocent then, and has four times as long alone after each further
death. Behind many that wait the time is shorter: thousands start within minutes. At MAX_STALLS it is given up
in any case. Jobs of batches run together by their nature; they are given up at MAX_BATCH_STALLS.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

from corral.bullmq.cancel import pending
from corral.bullmq.codec import whole
from corral.bullmq.settlement import Fetched
from corral.errors import KilledItsWorker, Unrecoverable

SUSPECT_FIELD = "corral:suspect"

#: A suspect has its process for so long without another suspect after its first stall. What kills at once is
#: told apart in it.
ALONE_SECONDS = 1.0

#: How much longer after each further stall, and the longest.
PATIENCE = 4
MOST_ALONE_SECONDS = 60.0

#: So many may wait before the time alone is cut: a hundred are through in half a minute, ten thousand in two.
FEW = 10

#: A job that stalled so often goes to the dead letters, whoever was guilty: what kills always ends there. One
#: that waits for its turn behind so many killers does too.
MAX_STALLS = 10

#: Of a job that runs in batches, whose suspects are not told apart.
MAX_BATCH_STALLS = 3

#: With this BullMQ's stalled check sentences a job that stalled too often for its own count.
STALLED = "job stalled more than allowable limit"


def mark_of(job: Fetched) -> str:
    """The mark of the run that begins: which one it is, and how often the job stalled before it."""
    return f"{whole(job.attempts_started) + 1}:{whole(job.stalled_count)}"


def is_guilty(job: Fetched) -> bool:
    """Its last run stalled, and that one had been marked."""
    last = f"{whole(job.attempts_started)}:{whole(job.stalled_count) - 1}"
    return job.suspect is not None and job.suspect.decode(errors="replace") == last


def refuse_killers(job: Fetched, *, in_batches: bool = False) -> None:
    """Raise for a job that killed its worker, or that another worker sentenced.

    BullMQ never sentences jobs of a scheduler; counting here covers them too.
    """
    stalls = whole(job.stalled_count)
    if is_guilty(job) or stalls >= (MAX_BATCH_STALLS if in_batches else MAX_STALLS):
        raise KilledItsWorker(
            f"The process died or stalled {stalls} times while it ran this job. "
            "Look for memory use, a crash in native code, or a blocked event loop; then retry it."
        )
    if job.deferred_failure is not None:
        reason = job.deferred_failure.decode(errors="replace")
        raise (KilledItsWorker if reason == STALLED else Unrecoverable)(reason)


def is_refused(job: Fetched) -> bool:
    """It will not run: it is cancelled, or `refuse_killers` raises for it."""
    if job.deferred_failure is not None or (job.cancel is not None and pending(job.cancel) is not None):
        return True
    return is_guilty(job) or whole(job.stalled_count) >= MAX_STALLS


def alone_seconds(stalls: int, first: float = ALONE_SECONDS) -> float:
    """How long one that stalled so often runs before the next suspect starts beside it."""
    longest = max(first, MOST_ALONE_SECONDS)
    return min(longest, first * float(PATIENCE) ** (stalls - 1))


class Mark(Protocol):
    """How a suspect is marked. Neither raises for an outage: what is not marked is not found guilty."""

    async def write(self) -> None: ...

    async def remove(self) -> None: ...


class Suspects:
    """The suspects that one process runs, of all its queues. Its methods run in one event loop."""

    def __init__(self, first_seconds: float = ALONE_SECONDS) -> None:
        self._first_seconds = first_seconds
        self._turn = asyncio.Lock()  # first come, first served
        self._running: dict[Mark, asyncio.Event] = {}
        self._waiting = 0
        #: Of the youngest: when it started, in loop time, and for how long it is to be alone.
        self._since = self._alone = 0.0

    @contextlib.asynccontextmanager
    async def turn(self, mark: Mark, stalls: int) -> AsyncIterator[None]:
        """Wait for the turn of this suspect, which stalled so often, and run the block as its run."""
        ended = asyncio.Event()
        async with self._queueing(), self._turn:
            await self._youngest_had_its_time()
            # Without await in between: else one could end here, and its mark be removed too late.
            beside = list(self._running)
            self._running[mark] = ended
            self._since = asyncio.get_running_loop().time()
            self._alone = alone_seconds(stalls, self._first_seconds)
            try:
                for other in beside:
                    await other.remove()
                if not beside:
                    await mark.write()
            except BaseException:
                del self._running[mark]
                raise
        try:
            yield
        finally:
            del self._running[mark]
            ended.set()

    async def _youngest_had_its_time(self) -> None:
        if not self._running:
            return
        youngest = next(reversed(self._running.values()))
        alone = self._alone * min(1.0, FEW / self._waiting)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._since + alone):
                await youngest.wait()

    @contextlib.asynccontextmanager
    async def _queueing(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
