"""The official Python worker: python -m bench.sides.official_worker <redis url> <concurrency> [noop|stamp]

On uvloop, like Corral's: it is the faster loop for both.
"""

from __future__ import annotations

import sys
from typing import Any

import uvloop
from bullmq import Worker

from bench.sides.recorder import record


async def noop(_: Any, __: str) -> None:
    pass


async def stamp(job: Any, _: str) -> None:
    record(job.data["sent"])


async def main(url: str, concurrency: int, kind: str) -> None:
    handler = stamp if kind == "stamp" else noop
    worker = Worker("bench", handler, {"connection": url, "concurrency": concurrency, "autorun": False})
    print('{"ready": true}', flush=True)
    sys.stdin.readline()
    await worker.run()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), [*sys.argv[3:], "noop"][0]))
