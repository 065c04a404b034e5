"""A queue whose jobs fail until somebody opens the shop; each run is counted outside of it."""

from __future__ import annotations

import os

import redis.asyncio as aioredis

from corral import JobContext, Queue, Retention, Retry
from corral.policy import Keep
from corral.worker import desk

desk.INTERVAL_SECONDS = 1.0  # who lost its carrier is found at once

queue = Queue("parcels", retry=Retry(attempts=1), retention=Retention(completed=Keep()), concurrency=100)
ledger = aioredis.Redis.from_url(os.environ["LEDGER_URL"])


class Closed(Exception):
    pass


@queue.job("ship")
async def ship(job: JobContext, data: dict[str, int]) -> None:
    async with ledger.pipeline(transaction=False) as pipe:
        pipe.hincrby("done", str(data["n"]), 1)
        pipe.get("open")
        _, is_open = await pipe.execute()
    if not is_open:
        raise Closed(f"nobody is there for {data['n']}")
