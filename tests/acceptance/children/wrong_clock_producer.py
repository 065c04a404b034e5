"""Adds jobs of every kind with a clock that is wrong."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime

import wrong_clock  # noqa: F401  # before all others

from corral import Dedup, Flow, NewJob, Queue
from corral.bullmq.connection import close_shared_clients

HOUR = 3600


async def main() -> None:
    queue = Queue("clocks")
    ids = {
        "plain": (await queue.add("build")).id,
        "delayed": (await queue.add("build", delay=HOUR)).id,
        "at": (await queue.add("build", at=datetime.fromtimestamp(float(sys.argv[1]), UTC))).id,
        "one of a batch": (await queue.add_batch([NewJob("build", delay=HOUR)]))[0].id,
        "deduplicated": (await queue.add("build", delay=HOUR, dedup=Dedup("a"))).id,
        "throttled": (await queue.add("build", dedup=Dedup("b", ttl=HOUR))).id,
    }
    child = Flow(queue, "build", 1, delay=HOUR)
    ids["parent"] = (await Flow(queue, "build", children=[child]).add()).id
    assert child.job is not None
    ids["child"] = child.job.id
    await queue.schedules.upsert("hourly", "build", every=HOUR)
    json.dump(ids, sys.stdout)
    await queue.close()
    await close_shared_clients()


asyncio.run(main())
