"""A provider that a test can break and repair, and the queue whose jobs need it."""

from __future__ import annotations

import asyncio
from typing import Any

from corral import JobContext, Queue
from corral.breakers import Breakers, BreakerStatus
from corral.providers.errors import ProviderError, ProviderMisconfigured, ProviderRetryable
from corral.providers.guard import guarded


class Acme:
    """It refuses our key, until it is repaired."""

    def __init__(self) -> None:
        self.error: ProviderError | None = ProviderMisconfigured("acme", "the key is wrong")
        #: Jobs that called, in order.
        self.calls: list[str] = []

    def breaks(self, reason: str = "HTTP 503") -> None:
        self.error = ProviderRetryable("acme", reason)

    def is_repaired(self) -> None:
        self.error = None

    async def call(self, job_id: str) -> None:
        async with guarded("acme"):
            self.calls.append(job_id)
            await asyncio.sleep(0)
            if self.error is not None:
                raise type(self.error)("acme", self.error.reason)

    def serve(self, queue: Queue) -> None:
        """Declare the job `call`."""

        @queue.job("call")
        async def call(job: JobContext) -> str:
            await self.call(job.id)
            return "done"


class Held:
    """The breaker `acme`, as an operator sees it."""

    def __init__(self, redis_url: str) -> None:
        self.breakers = Breakers(redis_url, "bull")

    async def status(self) -> BreakerStatus:
        return await self.breakers.get("acme")

    async def count(self) -> int:
        return (await self.status()).held

    async def is_held(self, jobs: int) -> bool:
        status = await self.status()
        return status.state == "open" and status.held == jobs


async def field(redis: Any, queue: Queue, job_id: str, name: str) -> Any:
    return await redis.hget(queue.keys().job(job_id), name)
