"""How much of what Redis alone allows does a worker reach?

The limit is a driver that calls the worker's own script in the same way (100 slots, two calls in flight) and
settles what it got at once: no handler, no typed data, no locks to keep. What is missing to it is the cost of
being a worker. Both are measured as in `process`.
"""

from __future__ import annotations

from bench.process import CONCURRENCY, measure
from bench.programs import python
from bench.scenario import Metric, Peer, Scenario, Target

SCENARIO = Scenario(
    name="redis_limit",
    title="Share of the limit that Redis sets: the same script with no worker around it",
    peers=(
        Peer("Corral", measure(lambda url: python("corral_worker", url, CONCURRENCY), 200_000, 20_000)),
        Peer("script alone", measure(lambda url: python("limit_driver", url, CONCURRENCY), 200_000, 20_000)),
    ),
    metrics=(
        Metric("jobs_per_second", "jobs/s"),
        Metric("redis_us_per_job", "Redis µs/job", digits=1),
    ),
    targets=(Target("jobs_per_second", "Corral", "script alone", at_least=0.75),),
)
