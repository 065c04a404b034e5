"""A worker's queue, its clock wrong."""

from __future__ import annotations

import wrong_clock  # noqa: F401  # before all others

from corral import GroupLimits, JobContext, Queue, RateLimit, Retention, Retry, SignalTimeout
from corral.policy import Keep

queue = Queue(
    "clocks",
    retry=Retry(attempts=3, backoff="fixed", delay=0.5),
    retention=Retention(completed=Keep(age=1800), failed=Keep(age=1800)),
    rate_limit=RateLimit(1000, per=1),
    groups=GroupLimits(rate_limit=RateLimit(2, per=3)),
)


@queue.job("build")
async def build(job: JobContext) -> str:
    return "built"


@queue.job("flaky")
async def flaky(job: JobContext) -> int:
    if job.attempt < 2:
        raise ValueError("once")
    return job.attempt


@queue.job("waiting")
async def waiting(job: JobContext, data: float) -> str:
    try:
        return str(await job.wait_for("never comes" if data < 60 else "go", timeout=data))
    except SignalTimeout:
        return "timed out"


@queue.job("limited")
async def limited(job: JobContext) -> bool:
    """Has it time left? Both its ends are told by one clock."""
    return job.remaining is not None and 0 < job.remaining <= 60
