"""The official Python worker: python -m bench.sides.official_worker <redis url> <concurrency>

On uvloop, like Corral's: it is the faster loop for both.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvloop
from bullmq import Worker


async def noop(job: Any, token: str) -> None:
    pass


async def main(url: str, concurrency: int) -> None:
    worker = Worker("bench", noop, {"connection": url, "concurrency": concurrency})
    print('{"ready": true}', flush=True)
    await asyncio.Event().wait()
    await worker.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
