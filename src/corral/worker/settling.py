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

import structlog
from redis.exceptions import RedisError

from corral.bullmq import settlement as wire
from corral.bullmq.consumer import Consumer, Step
from corral.bullmq.failures import is_outage
from corral.bullmq.settlement import Settlement
from corral.policy import Keep
from corral.worker.locks import LockTable
from corral.worker.outage import Outage

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


class Settling:
    """The settlements of one feed. `look_again` is called when one may have made work."""

    def __init__(
        self,
        consumer: Consumer,
        locks: LockTable,
        outage: Outage,
        *,
        failed: Keep,
        look_again: Callable[[], None],
    ) -> None:
        self.state = FeedState()
        self.waiting: list[Settlement] = []
        self._consumer = consumer
        self._locks = locks
        self._outage = outage
        self._failed = failed
        self._look_again = look_again
        self._queue = consumer.keys.name
        self._one_by_one = 0  # to send singly, after a batch that could not be sent

    def take(self, most: int) -> list[Settlement]:
        """What the next call is to carry."""
        if self._one_by_one:
            self._one_by_one -= 1
            most = 1
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        return taken

    def again(self, settled: list[Settlement]) -> None:
        """They were not answered: send them again."""
        self.waiting = settled + self.waiting

    def set_aside(self, settled: list[Settlement]) -> None:
        """A batch could not be sent, by a fault of ours: find the entry that breaks it, and lose only that.

        Its lock then runs out, and the sweep gives its job another run.
        """
        if len(settled) > 1:
            self.again(settled)
            self._one_by_one = len(settled)
        for entry in settled if len(settled) == 1 else ():
            log.error("settlement_set_aside", queue=self._queue, job=entry[0])
            self._locks.held.pop(entry[0], None)

    async def answered(self, settled: list[Settlement], sent: list[Settlement], step: Step) -> None:
        held = self._locks.held
        for job_id, token in self._locks.strays(sent):
            # Written while the call was under way; else it would run out by itself.
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._consumer.release_lock(job_id, token)
        self.state.settled += len(settled)
        problems = dict(step.problems) if step.problems else None
        if problems:
            by_id = {entry[0]: entry for entry in settled}
            for job_id, code in problems.items():
                if code == wire.NOT_PLAIN:
                    self.state.relatives += 1
                    await self._officially(by_id[job_id], step.now_ms)
                    self._look_again()  # its parent may be ready now
                elif code == wire.NOT_TOLD:
                    self._not_told(job_id)
                else:
                    self.state.lost += 1
                    log.warning("settlement_refused", queue=self._queue, job=job_id, code=code)
        for entry in settled:
            if held.get(entry[0]) == entry[1]:  # else the job was fetched again meanwhile
                del held[entry[0]]

    async def _officially(self, entry: Settlement, now_ms: int) -> None:
        while True:
            try:
                code = await self._consumer.finish_officially(entry, now_ms=now_ms)
                break
            except (RedisError, OSError, TimeoutError) as error:
                if not is_outage(error):
                    log.exception("settlement_set_aside", queue=self._queue, job=entry[0])
                    return  # as in _set_aside; the caller lets go of the lock
                await self._outage.wait(error)
        if code in (-4, -9):
            # BullMQ refuses to complete a job whose children are not through.
            reason = (
                "The job has children that are not finished: call job.wait_for_children() before returning."
                if code == -4
                else "A child of the job failed."
            )
            await self._officially(wire.refused_to_complete(entry, reason, self._failed), now_ms)
        elif code == wire.NOT_TOLD:
            self._not_told(entry[0])
        elif code < 0:
            self.state.lost += 1
            log.warning("settlement_refused", queue=self._queue, job=entry[0], code=code)

    def _not_told(self, job_id: str) -> None:
        log.error("webhook_not_queued", queue=self._queue, job=job_id)

    async def send_the_rest(self) -> None:
        """What a run that was cut off still has to say. Its jobs would be rescued anyway, later."""
        settled, self.waiting = self.waiting, []
        if settled:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._consumer.step("", 0, self._locks.with_marks(settled))
        self._locks.held.clear()
