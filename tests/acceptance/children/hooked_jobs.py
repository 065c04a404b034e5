"""Jobs that end in every way, for hooks to tell of."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from corral import JobContext, Queue, Retry

queue = Queue("orders", retry=Retry(attempts=1), concurrency=20)


@queue.job("succeed")
async def succeed(job: JobContext, data: dict[str, Any]) -> dict[str, Any]:
    """It hands back what it got."""
    return data


@queue.job("fail")
async def fail(job: JobContext) -> None:
    """It never works."""
    raise ValueError("the shop is closed")


@queue.job("endless")
async def endless(job: JobContext) -> None:
    """Somebody has to cancel it."""
    await asyncio.Event().wait()


@queue.job("die")
async def die(job: JobContext) -> None:
    """It takes its process with it."""
    os._exit(9)
