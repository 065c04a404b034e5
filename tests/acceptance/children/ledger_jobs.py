"""A queue whose every run is written down outside of it: in another database of the same server."""

from __future__ import annotations

import asyncio
import os
import time

import redis.asyncio as aioredis

from corral import JobContext, Queue, Retention, Retry, ThreadJobContext

queue = Queue(
    "ledger", retry=Retry(attempts=3, backoff="fixed", delay=0.2), retention=Retention(), concurrency=20
)
ledger = aioredis.Redis.from_url(os.environ["LEDGER_URL"])
seconds = float(os.environ.get("WORK_SECONDS", "0.05"))


@queue.job("work")
async def work(job: JobContext, data: dict[str, int]) -> int:
    """Each run leaves its process at its start, and counts at its end."""
    await ledger.rpush(f"runs:{data['n']}", os.getpid())
    await asyncio.sleep(seconds)
    await ledger.hincrby("done", str(data["n"]), 1)
    return data["n"]


@queue.job("stubborn")
async def stubborn(job: JobContext) -> None:
    """It ignores that it is told to stop."""
    while True:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            continue


@queue.job("thread")
def thread(job: ThreadJobContext) -> None:
    """Nobody can stop it."""
    time.sleep(seconds)
