"""Jobs that run until they are cancelled, and waiting for their end."""

from __future__ import annotations

import asyncio

from corral import JobContext, Queue
from corral.job import Job
from eventually import eventually


class Endless:
    """A handler that waits until it is cancelled, and counts."""

    def __init__(self, queue: Queue) -> None:
        self.starts = self.cancellations = 0
        queue.job("endless")(self.run)

    async def run(self, job: JobContext) -> None:
        self.starts += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancellations += 1
            raise


async def ended(job: Job) -> Job:
    await eventually(lambda: _is_over(job))
    return job


async def _is_over(job: Job) -> bool:
    return (await job.refresh()).status in ("completed", "failed")
