"""A worker process that dies by SIGKILL: in its handler, or before it has made a schedule's next run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from corral import JobContext, Queue, Worker
from corral.bullmq.scheduler import Scheduler

queue = Queue("deadly", redis_url=sys.argv[1])


@queue.job("dies")
async def dies(job: JobContext) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@queue.job("beats")
async def beats(job: JobContext) -> None: ...


async def die(*args: Any, **options: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if "before-arming" in sys.argv:
    Scheduler.arm = die  # type: ignore[method-assign]  # the moment that the test is about
asyncio.run(Worker(queue).run())
