"""A queue of groups and locks whose every run is written down, in one list, in the order of its happening."""

from __future__ import annotations

import asyncio
import json
import os

import redis.asyncio as aioredis

from corral import GroupLimits, JobContext, Queue, Retention, Retry

queue = Queue(
    "grouped",
    retry=Retry(attempts=3, backoff="fixed", delay=0.1),
    retention=Retention(),
    groups=GroupLimits(concurrency=2),
    concurrency=10,
)
ledger = aioredis.Redis.from_url(os.environ["LEDGER_URL"])


@queue.job("work")
async def work(job: JobContext, data: dict[str, str]) -> None:
    """`data` names the key that bounds it. What a killed process began and did not end, its death ends."""
    await ledger.rpush("story", json.dumps(["start", os.getpid(), data["key"], job.id]))
    await asyncio.sleep(0.02)
    await ledger.rpush("story", json.dumps(["end", os.getpid(), data["key"], job.id]))
