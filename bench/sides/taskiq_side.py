"""taskiq with taskiq-redis: a producer (see producing.py). The worker is taskiq's own command line.

A stream broker, which its documentation names the one that acknowledges. uvloop and orjson by the extra `uv`,
no result backend.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import uvloop
from taskiq.serializers.orjson_serializer import ORJSONSerializer
from taskiq_redis import RedisStreamBroker

from bench.sides.producing import produce
from bench.sides.recorder import record

broker = RedisStreamBroker(os.environ["BENCH_REDIS_URL"], consumer_id="0").with_serializer(ORJSONSerializer())


@broker.task(task_name="noop")
async def noop(data: dict[str, Any]) -> None:
    record(data["sent"])


async def main() -> None:
    await broker.startup()
    await produce(noop.kiq, None, sys.argv[1:])
    await broker.shutdown()


if __name__ == "__main__":
    uvloop.run(main())
