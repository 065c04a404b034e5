"""A queue whose schedule is declared in code."""

from __future__ import annotations

from corral import JobContext, Queue

queue = Queue("recurring")


@queue.job("tick")
async def tick(job: JobContext) -> None: ...


queue.schedule("often", "tick", every=0.5)
