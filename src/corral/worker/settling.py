"""Settling: what ended and is not yet told to Redis, and what comes of telling it.

A settlement is kept until it was answered: sent again after an outage (its token or stamp fences it), sent
alone when a batch could not be sent, through BullMQ's own scripts when its job has a family.

Emits: settlement_refused (queue, job, code), settlement_set_aside (queue, job), webhook_not_queued (queue,
job): the job is settled, but the queue `webhooks` could not take the hooks of its end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from redis.exceptions import RedisError

from corral.bullmq import settlement as wire
from corral.bullmq.consumer import Consumer, Step
from corral.bullmq.failures import is_outage
from corral.bullmq.settlement import Settlement
from corral.policy import Keep
from corral.worker.locks import LockTable
from corral.worker.outage import Outage
from corral.worker.tally import Row, Tally

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class FeedState:
    """What a health check and a log line may say about a feed."""

    fetched: int = 0
    settled: int = 0
    lost: int = 0
    #: Jobs with a parent, children or a deduplication id among the settled.
    relatives: int = 0
    #: Errors of our own code; each one is in the log with its trace.
    faults: int = 0


class Ended(NamedTuple):
    """Settlements, and beside each the row of the tally that its job started in."""

    entries: list[Settlement]
    rows: list[Row | None]


class Settling:
    """The settlements of one feed. `look_again` is called when one may have made work."""

    def __init__(
        self,
        consumer: Consumer,
        locks: LockTable,
        outage: Outage,
        *,
        tally: Tally,
        failed: Keep,
        look_again: Callable[[], None],
    ) -> None:
        self.state = FeedState()
        self.waiting: list[Settlement] = []
        #: Beside `waiting`: where each counts.
        self.rows: list[Row | None] = []
        self._tally = tally
        self._consumer = consumer
        self._locks = locks
        self._outage = outage
        self._failed = failed
        self._look_again = look_again
        self._queue = consumer.keys.name
        self._one_by_one = 0  # to send singly, after a batch that could not be sent

    def take(self, most: int) -> Ended:
        """What the next call is to carry."""
        if self._one_by_one:
            self._one_by_one -= 1
            most = 1
        taken = Ended(self.waiting[:most], self.rows[:most])
        self.waiting, self.rows = self.waiting[most:], self.rows[most:]
        return taken

    def again(self, ended: Ended) -> None:
        """They were not answered: send them again."""
        self.waiting, self.rows = ended.entries + self.waiting, ended.rows + self.rows

    def set_aside(self, ended: Ended) -> None:
        """A batch could not be sent, by a fault of ours: find the entry that breaks it, and lose only that.

        Its lock then runs out, and the sweep gives its job another run.
        """
        if len(ended.entries) > 1:
            self.again(ended)
            self._one_by_one = len(ended.entries)
        for entry in ended.entries if len(ended.entries) == 1 else ():
            log.error("settlement_set_aside", queue=self._queue, job=entry[0])
            self._locks.held.pop(entry[0], None)

    async def answered(self, ended: Ended, sent: list[Settlement], step: Step) -> None:
        held, settled = self._locks.held, ended.entries
        for job_id, token in self._locks.strays(sent):
            # Written while the call was under way; else it would run out by itself.
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._consumer.release_lock(job_id, token)
        self.state.settled += len(settled)
        if step.problems:
            await self._with_problems(ended, step)
        else:
            self._tally.settled(settled, ended.rows)
        for entry in settled:
            if held.get(entry[0]) == entry[1]:  # else the job was fetched again meanwhile
                del held[entry[0]]

    async def _with_problems(self, ended: Ended, step: Step) -> None:
        problems = dict(step.problems)
        for entry, row in zip(*ended, strict=True):
            job_id, code = entry[0], problems.get(entry[0])
            written: Settlement | None = entry
            if code == wire.NOT_PLAIN:
                self.state.relatives += 1
                written = await self._officially(entry, step.now_ms)
                self._look_again()  # its parent may be ready now
            elif code == wire.NOT_TOLD:
                self._not_told(job_id)
            elif code is not None:
                self._refused(job_id, code)
                written = None
            if written is not None:
                self._tally.settled([written], [row])

    async def _officially(self, entry: Settlement, now_ms: int) -> Settlement | None:
        """Returns what was written; None: nothing."""
        while True:
            try:
                code = await self._consumer.finish_officially(entry, now_ms=now_ms)
                break
            except (RedisError, OSError, TimeoutError) as error:
                if not is_outage(error):
                    log.exception("settlement_set_aside", queue=self._queue, job=entry[0])
                    return None  # as in _set_aside; the caller lets go of the lock
                await self._outage.wait(error)
        if code in (-4, -9):
            # BullMQ refuses to complete a job whose children are not through.
            reason = (
                "The job has children that are not finished: call job.wait_for_children() before returning."
                if code == -4
                else "A child of the job failed."
            )
            return await self._officially(wire.refused_to_complete(entry, reason, self._failed), now_ms)
        if code == wire.NOT_TOLD:
            self._not_told(entry[0])
        elif code < 0:
            self._refused(entry[0], code)
            return None
        return entry

    def _refused(self, job_id: str, code: int) -> None:
        self.state.lost += 1
        if code in (wire.LOCK_GONE, wire.LOCK_TAKEN, wire.NOT_ACTIVE):
            self._tally.lost_locks += 1
        log.warning("settlement_refused", queue=self._queue, job=job_id, code=code)

    def _not_told(self, job_id: str) -> None:
        log.error("webhook_not_queued", queue=self._queue, job=job_id)

    async def send_the_rest(self) -> None:
        """What a run that was cut off still has to say. Its jobs would be rescued anyway, later."""
        ended = Ended(self.waiting, self.rows)
        self.waiting, self.rows = [], []
        if ended.entries:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                step = await self._consumer.step("", 0, self._locks.with_marks(ended.entries))
                refused = {job_id for job_id, code in step.problems if code != wire.NOT_TOLD}
                for entry, row in zip(*ended, strict=True):
                    if entry[0] not in refused:
                        self._tally.settled([entry], [row])
        self._locks.held.clear()
