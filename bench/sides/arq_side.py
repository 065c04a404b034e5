"""arq: a producer (see producing.py) and `work <concurrency>`; the server is in BENCH_REDIS_URL.

`poll_delay` is lowered from 0.5 s, at which it starts 200 jobs a second. Results are not kept. On uvloop.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import uvloop
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

from bench.sides.producing import produce
from bench.sides.recorder import record

SETTINGS = RedisSettings.from_dsn(os.environ["BENCH_REDIS_URL"])


async def noop(_: dict[str, Any], data: dict[str, Any]) -> None:
    record(data["sent"])


async def main() -> None:
    if sys.argv[1] == "work":
        worker = Worker(
            [func(noop, keep_result=0)], redis_settings=SETTINGS, max_jobs=int(sys.argv[2]), poll_delay=0.01
        )
        await worker.async_run()
        return
    pool = await create_pool(SETTINGS)
    await produce(lambda data: pool.enqueue_job("noop", data), None, sys.argv[1:])
    await pool.aclose()


if __name__ == "__main__":
    uvloop.run(main())
