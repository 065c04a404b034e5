"""The official Python package as a producer; arguments as for corral_adder."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop
from bullmq import Queue


async def main(url: str, way: str, name: str, jobs: int, batch: int, warm_up: int) -> None:
    queue = Queue(name, {"connection": url})

    async def add(count: int) -> None:
        for start in range(0, count, batch):
            items = [{"userId": "user-1", "n": n} for n in range(start, min(count, start + batch))]
            if way == "bulk":
                await queue.addBulk([{"name": "noop", "data": item} for item in items])
            else:
                await asyncio.gather(*(queue.add("noop", item, {}) for item in items))

    await add(warm_up)
    print('{"ready": true}', flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    await add(jobs)
    print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)
    await queue.close()


if __name__ == "__main__":
    url, way, name, *numbers = sys.argv[1:]
    uvloop.run(main(url, way, name, *map(int, numbers)))
