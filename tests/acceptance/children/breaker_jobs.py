"""A queue whose jobs need a provider that the test breaks, hangs and repairs from outside."""

from __future__ import annotations

import asyncio
import os

import redis.asyncio as aioredis

from corral import JobContext, Queue, Retention, Retry, breaker
from corral.providers.errors import ProviderMisconfigured
from corral.providers.guard import guarded

breaker.PROBE_LEASE_SECONDS = 1.0

queue = Queue("calls", retry=Retry(attempts=2, delays=(0.1,)), retention=Retention(), concurrency=20)
ledger = aioredis.Redis.from_url(os.environ["LEDGER_URL"])


@queue.job("call")
async def call(job: JobContext) -> None:
    """Each call leaves its process; each job that was served counts."""
    async with guarded("acme"):
        await ledger.rpush("asked", os.getpid())
        mode = await ledger.get("acme")
        if mode == b"hangs":
            await asyncio.sleep(3600)
        if mode != b"well":
            raise ProviderMisconfigured("acme", "the key is wrong")
    await ledger.hincrby("done", job.id, 1)
