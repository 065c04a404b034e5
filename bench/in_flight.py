"""Ten thousand jobs at once in one process, whose handlers sleep for 2 seconds.

Memory a job is what the process grew by, from idle to all of them in flight, divided by their number. Lag is
how much longer than 10 ms a timer of 10 ms takes. Locks lost are those that the worker itself reports; every
job must start once and be completed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from bench.failing import all_completed
from bench.process import preload
from bench.programs import Program, ProgramFailed, node, python
from bench.python_peers import environment
from bench.recordings import Recordings
from bench.scenario import Limit, Measure, Metric, Peer, Scale, Scenario, Target
from bench.server import Server
from corral import Retry

#: Each place is taken this often.
TURNS = 3


def measure(command: Callable[[str, int], list[str]]) -> Measure:
    def run(scale: Scale) -> dict[str, float]:
        places = max(50, round(10_000 * min(1.0, scale.factor)))
        jobs = places * TURNS
        with Server(scale.rtt_ms) as server, Recordings() as recordings:
            asyncio.run(preload(server.url, jobs, Retry(attempts=1)))
            with Program(command(server.peer_url, places), environment(server, recordings)) as worker:
                worker.line()
                before = worker.memory_mb()
                worker.go()
                most = before
                while recordings.seen().count < jobs:
                    most = max(most, worker.memory_mb())
                    worker.check()
                    time.sleep(0.1)
                all_completed(server, jobs)
                worker.go()
                told = worker.line()
            seen = recordings.seen()
        if seen.count != jobs:
            raise ProgramFailed(f"{seen.count:,} starts of {jobs:,} jobs")
        return {
            "kb_per_job": (most - before) * 1024 / places,
            "lag_p99_ms": float(told["lag_p99_ms"]),
            "locks_lost": float(told["lost"]),
            "seconds": seen.last - seen.first,
        }

    return run


SCENARIO = Scenario(
    name="in_flight",
    title="10,000 jobs in flight in one process, handlers sleeping 2 s",
    peers=(
        Peer("Corral", measure(lambda url, places: python("corral_worker", url, places, "sleep"))),
        Peer("BullMQ Node", measure(lambda url, places: node("worker.mjs", url, places, "sleep"))),
    ),
    metrics=(
        Metric("kb_per_job", "memory, KiB/job", digits=1),
        Metric("lag_p99_ms", "lag of the loop, p99, ms", digits=1),
        Metric("locks_lost", "locks lost"),
        Metric("seconds", f"seconds to start {TURNS} x 10,000", digits=1),
    ),
    targets=(
        Target("kb_per_job", "Corral", "BullMQ Node"),
        Target("lag_p99_ms", "Corral", "BullMQ Node"),
        Target("seconds", "Corral", "BullMQ Node"),
    ),
    limits=(
        Limit("kb_per_job", "Corral", below=5),
        Limit("lag_p99_ms", "Corral", below=20),
        Limit("locks_lost", "Corral", below=1),
    ),
)
