"""A backlog of a million jobs beside one of ten thousand: does the length of the queue cost speed?

The same part of both runs is timed, by the jobs' own `finishedOn`: from the 2,000th to the 10,000th job done.
The whole run of a million is timed too, and so is what Redis needs to hold it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bench.process import CONCURRENCY, QUEUE, preload, wait_until_done
from bench.programs import Program, node, python
from bench.scenario import Measure, Metric, Peer, Scale, Scenario, Target
from bench.server import Server
from corral import Retry

SHORT = 10_000
LONG, LONG_QUICK = 1_000_000, 50_000
#: Of the long run so many are processed; the rest stays, so that the queue is long all the while.
PROCESSED = 200_000


def measure(command: Callable[[str], list[str]], *, long: bool) -> Measure:
    def run(scale: Scale) -> dict[str, float]:
        jobs = scale.amount(LONG, LONG_QUICK) if long else SHORT
        goal = min(jobs, PROCESSED)
        with Server(scale.rtt_ms) as server:
            asyncio.run(preload(server.url, jobs, Retry(attempts=1)))
            held = float(server.info()["used_memory"])
            with Program(command(server.peer_url)) as worker:
                worker.line()
                worker.go()
                wait_until_done(server, worker, goal)
            low, high = min(2_000, goal // 5), min(SHORT, goal) - 1
            numbers = {"jobs_per_second": (high - low) / (finished(server, high) - finished(server, low))}
            if long:
                numbers["whole_per_second"] = (goal - low) / (
                    finished(server, goal - 1) - finished(server, low)
                )
        return numbers | {"bytes_per_job": held / jobs}

    return run


def finished(server: Server, place: int) -> float:
    """When the job at this place of the order of finishing was done, in seconds."""
    found: Any = server.client.zrange(f"bull:{QUEUE}:completed", place, place, withscores=True)
    return float(found[0][1]) / 1000


def corral(url: str) -> list[str]:
    return python("corral_worker", url, CONCURRENCY)


def bullmq(url: str) -> list[str]:
    return node("worker.mjs", url, CONCURRENCY)


SCENARIO = Scenario(
    name="backlog",
    title="A backlog of 1,000,000 jobs against one of 10,000",
    peers=(
        Peer("Corral, 1,000,000", measure(corral, long=True)),
        Peer("Corral, 10,000", measure(corral, long=False)),
        Peer("BullMQ Node, 1,000,000", measure(bullmq, long=True)),
        Peer("BullMQ Node, 10,000", measure(bullmq, long=False)),
    ),
    metrics=(
        Metric("jobs_per_second", "jobs/s, 2,000th to 10,000th"),
        Metric("whole_per_second", f"jobs/s up to the {PROCESSED:,}th"),
        Metric("bytes_per_job", "Redis, bytes/waiting job"),
    ),
    targets=(
        Target("jobs_per_second", "Corral, 1,000,000", "Corral, 10,000", at_least=0.9),
        Target("jobs_per_second", "BullMQ Node, 1,000,000", "BullMQ Node, 10,000"),
        Target("jobs_per_second", "Corral, 1,000,000", "BullMQ Node, 1,000,000"),
    ),
)
