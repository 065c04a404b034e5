"""dramatiq: a producer (see producing.py). The worker is dramatiq's own command line, with its defaults.

No result backend, which is its default; without the Prometheus middleware, which is optional.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.sides.producing import produce_blocking
from bench.sides.recorder import record

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_REDIS_URL"]))


@dramatiq.actor
def noop(data: dict[str, Any]) -> None:
    record(data["sent"])


if __name__ == "__main__":
    produce_blocking(noop.send, None, sys.argv[1:])
