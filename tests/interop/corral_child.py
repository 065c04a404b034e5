"""A Corral worker in a process of its own, to be killed: corral_child.py <redis url> <queue>

Its job `x` says `started <id>` and never ends.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from corral import JobContext, Queue, Worker

queue = Queue(sys.argv[2], redis_url=sys.argv[1])


@queue.job("x")
async def run(job: JobContext, data: Any) -> None:
    sys.stdout.write(f"started {job.id}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(Worker(queue).run())
