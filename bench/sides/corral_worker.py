"""Corral's worker: python -m bench.sides.corral_worker <redis url> <concurrency>"""

from __future__ import annotations

import logging
import sys

import structlog
import uvloop

from corral import JobContext, Keep, Queue, Retention, Retry, Worker


async def main(url: str, concurrency: int) -> None:
    queue = Queue(
        "bench", redis_url=url, prefix="bull", retry=Retry(attempts=1), retention=Retention(Keep(), Keep())
    )

    @queue.job("noop")
    async def noop(job: JobContext, data: dict[str, int]) -> None:
        pass

    print('{"ready": true}', flush=True)
    sys.stdin.readline()
    await Worker(queue, concurrency=concurrency).run()


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
