"""Jobs that fail once and then succeed, beside the same number that succeed at once.

The second run follows at once (a fixed backoff of nothing). Jobs a second counts jobs, not runs: first start
of a handler to last start. All jobs must be completed at the end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from bench.process import CONCURRENCY, QUEUE, preload
from bench.programs import Program, ProgramFailed, node, python
from bench.python_peers import environment
from bench.recordings import STUCK_SECONDS, Recordings
from bench.scenario import Limit, Measure, Metric, Peer, Scale, Scenario, Target
from bench.server import Server
from corral import Retry

RETRY = Retry(attempts=2, backoff="fixed", delay=0)


def measure(command: Callable[[str, str], list[str]], full: int, quick: int) -> Measure:
    """Of the worker that `command(url, kind of handler)` starts."""

    def rate(scale: Scale, kind: str, runs: int) -> float:
        jobs = scale.amount(full, quick)
        with Server(scale.rtt_ms) as server, Recordings() as recordings:
            asyncio.run(preload(server.url, jobs, RETRY))
            with Program(command(server.peer_url, kind), environment(server, recordings)) as worker:
                worker.line()
                worker.go()
                seen = recordings.wait_for(jobs * runs, worker)
                all_completed(server, jobs)
        return jobs / (seen.last - seen.first)

    def run(scale: Scale) -> dict[str, float]:
        success, failing = rate(scale, "stamp", 1), rate(scale, "fail-once", 2)
        return {
            "success_per_second": success,
            "failing_per_second": failing,
            "share": failing / success,
            "runs_share": 2 * failing / success,
        }

    return run


def all_completed(server: Server, jobs: int) -> None:
    deadline = time.monotonic() + STUCK_SECONDS
    while (done := int(server.client.zcard(f"bull:{QUEUE}:completed"))) != jobs:
        if time.monotonic() > deadline:
            raise ProgramFailed(f"{done:,} of {jobs:,} jobs completed")
        time.sleep(0.02)


SCENARIO = Scenario(
    name="failing",
    title="Jobs that fail once and then succeed, one worker process",
    peers=(
        Peer(
            "Corral",
            measure(lambda url, kind: python("corral_worker", url, CONCURRENCY, kind), 100_000, 10_000),
        ),
        Peer(
            "BullMQ Node",
            measure(lambda url, kind: node("worker.mjs", url, CONCURRENCY, kind), 50_000, 10_000),
        ),
    ),
    metrics=(
        Metric("failing_per_second", "jobs/s, each failing once"),
        Metric("success_per_second", "jobs/s, none failing"),
        Metric("share", "share of the success rate, in jobs", digits=2),
        Metric("runs_share", "share of the success rate, in runs", digits=2),
    ),
    targets=(Target("failing_per_second", "Corral", "BullMQ Node"), Target("share", "Corral", "BullMQ Node")),
    limits=(Limit("share", "Corral", at_least=0.5),),
)
