"""The official Python worker: python -m bench.sides.official_worker <redis url> <concurrency>

On uvloop, like Corral's: it is the faster loop for both.
"""

from __future__ import annotations

import sys
from typing import Any

import uvloop
from bullmq import Worker  # type: ignore[import-untyped]  # it ships no types


async def noop(job: Any, token: str) -> None:
    pass


async def main(url: str, concurrency: int) -> None:
    worker = Worker("bench", noop, {"connection": url, "concurrency": concurrency, "autorun": False})
    print('{"ready": true}', flush=True)
    sys.stdin.readline()
    await worker.run()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
