"""Processing with two worker processes on one queue; else as `process`."""

from __future__ import annotations

from bench.process import CONCURRENCY, measure
from bench.programs import node, python
from bench.scenario import Metric, Peer, Scenario, Target

WORKERS = 2

SCENARIO = Scenario(
    name="processes",
    title=f"Processing no-op jobs: {WORKERS} worker processes, concurrency {CONCURRENCY} each",
    peers=(
        Peer(
            "Corral", measure(lambda url: python("corral_worker", url, CONCURRENCY), 200_000, 20_000, WORKERS)
        ),
        Peer(
            "BullMQ Node", measure(lambda url: node("worker.mjs", url, CONCURRENCY), 100_000, 20_000, WORKERS)
        ),
    ),
    metrics=(
        Metric("jobs_per_second", "jobs/s"),
        Metric("redis_us_per_job", "Redis µs/job", digits=1),
        Metric("worker_us_per_job", "workers µs/job", digits=1),
        Metric("worker_mib", "workers MiB"),
    ),
    targets=(Target("jobs_per_second", "Corral", "BullMQ Node", at_least=4),),
)
