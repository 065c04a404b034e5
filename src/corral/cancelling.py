"""Cancelling a job from anywhere: what `Queue.cancel`, `DELETE /v1/…` and `corral jobs cancel` do.

A job that has not started is removed from its queue, with its children. A job that runs is marked in Redis
and its worker is told; a Corral worker ends it within a second (see `corral.worker.control`). A job that a
stock BullMQ worker runs goes on: BullMQ looks at no such mark.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from corral.bullmq import cancel as wire
from corral.errors import CannotCancel, JobNotFound
from corral.hook_settings import rules_of

if TYPE_CHECKING:
    from corral.queue import Queue


class Cancelled(StrEnum):
    """What a cancellation met."""

    #: It had not started; it is gone from its queue.
    REMOVED = "removed"
    #: It runs; its worker has been told.
    SIGNALLED = "signalled"
    #: Too late: it is completed or failed.
    FINISHED = "finished"


_MET = {
    wire.REMOVED: Cancelled.REMOVED,
    wire.RUNNING: Cancelled.SIGNALLED,
    wire.FINISHED: Cancelled.FINISHED,
}


async def cancel_job(queue: Queue, job_id: str, reason: str = "") -> Cancelled:
    """See `Queue.cancel`."""
    rules = rules_of(queue)
    with queue.redis_errors():
        answer = await wire.cancel(queue.client(), queue.keys(), job_id, reason, rules)
    if answer == wire.NO_JOB:
        raise JobNotFound(
            f"Job {job_id[:100]!r} is not in queue {queue.name!r}. It never was, or its retention has passed."
        )
    if answer == wire.SCHEDULED:
        raise CannotCancel(
            f"Job {job_id} is the next run of a schedule of {queue.name!r}. Remove or pause the schedule."
        )
    if answer == wire.LOCKED:
        raise CannotCancel(f"A child of job {job_id} in {queue.name!r} is running. Cancel that one first.")
    return _MET[answer]
