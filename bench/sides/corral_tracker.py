"""A worker of the built-in queue `analytics`, as `corral worker` runs it.

python -m bench.sides.corral_tracker <events>

Adds so many events of its own first, then says that it is ready; a line on stdin starts the worker.
"""

from __future__ import annotations

import json
import logging
import sys

import structlog
import uvloop

from bench.analytics import EVENT
from corral import Worker
from corral.queues.analytics import queue


async def main(events: int) -> None:
    data = json.dumps(EVENT).encode()
    for start in range(0, events, 1_000):
        await queue.add_many_json("track", [data] * min(1_000, events - start))
    print('{"ready": true}', flush=True)
    sys.stdin.readline()
    await Worker(queue).run()


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    uvloop.run(main(int(sys.argv[1])))
