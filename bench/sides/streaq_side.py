"""streaQ: a producer (see producing.py) and `work <concurrency>`; the server is in BENCH_REDIS_URL.

On uvloop, tasks silent, results not kept; `enqueue_many` in bulk, as its own benchmark does.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any

from streaq import Worker

from bench.sides.producing import Item, produce
from bench.sides.recorder import record

WORK = sys.argv[1] == "work"
worker: Worker[None] = Worker(
    redis_url=os.environ["BENCH_REDIS_URL"],
    concurrency=int(sys.argv[2]) if WORK else 1,
    anyio_kwargs={"use_uvloop": True},
)


@worker.task(silent=True, ttl=0)
async def noop(data: dict[str, Any]) -> None:
    record(data["sent"])


async def single(data: Item) -> None:
    await noop.enqueue(data)


async def bulk(items: Sequence[Item]) -> None:
    await worker.enqueue_many([noop.enqueue(data) for data in items])


async def main() -> None:
    async with worker:
        await produce(single, bulk, sys.argv[1:])


if __name__ == "__main__":
    if WORK:
        worker.run_sync()
    else:
        asyncio.run(main())
