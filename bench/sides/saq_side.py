"""SAQ: a producer (see producing.py) and `work <concurrency>`; the server is in BENCH_REDIS_URL.

With hiredis and uvloop, as its documentation advises. Results are not kept.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import uvloop
from saq import Queue, Worker

from bench.sides.producing import produce
from bench.sides.recorder import record


async def noop(_: Any, *, data: dict[str, Any]) -> None:
    record(data["sent"])


async def main() -> None:
    queue = Queue.from_url(os.environ["BENCH_REDIS_URL"])
    await queue.connect()
    if sys.argv[1] == "work":
        await Worker(queue, functions=[noop], concurrency=int(sys.argv[2])).start()
        return
    await produce(lambda data: queue.enqueue("noop", data=data, ttl=-1), None, sys.argv[1:])
    await queue.disconnect()


if __name__ == "__main__":
    uvloop.run(main())
