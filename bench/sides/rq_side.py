"""RQ: a producer (see producing.py). The worker is RQ's own command line with SimpleWorker.

Its benchmark page names SimpleWorker, which does not fork for each job, the fast one. Results are not kept.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from redis import Redis
from rq import Queue

from bench.sides.producing import Item, produce_blocking
from bench.sides.recorder import record

TASK = "bench.sides.rq_side.noop"


def noop(data: dict[str, Any]) -> None:
    record(data["sent"])


def main() -> None:
    queue = Queue("bench", connection=Redis.from_url(os.environ["BENCH_REDIS_URL"]))

    def bulk(items: Sequence[Item]) -> None:
        queue.enqueue_many([Queue.prepare_data(TASK, (data,), result_ttl=0) for data in items])

    produce_blocking(lambda data: queue.enqueue(TASK, data, result_ttl=0), bulk, sys.argv[1:])


if __name__ == "__main__":
    main()
