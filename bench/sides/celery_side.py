"""Celery: a producer (see producing.py). The worker is Celery's own command line.

As its optimising guide says for many short tasks: a high prefetch multiplier, results ignored, no events.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from celery import Celery

from bench.sides.producing import produce_blocking
from bench.sides.recorder import record

app = Celery("bench", broker=os.environ["BENCH_REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=128,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    worker_enable_remote_control=False,
)


@app.task(name="noop")
def noop(data: dict[str, Any]) -> None:
    record(data["sent"])


if __name__ == "__main__":
    produce_blocking(noop.delay, None, sys.argv[1:])
