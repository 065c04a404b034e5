"""Adding, in two ways: batches of 1,000 (one after the other), and single adds, 1,000 of them at a time.

The adder's own clock, from its first call to its last answer, after a warm-up of 2,000 jobs. The server must
then hold every job.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.programs import Program, ProgramFailed, node, python
from bench.python_peers import PYTHON_PEERS, adding, peers
from bench.scenario import Measure, Metric, Peer, Scale, Scenario, Target
from bench.server import Server

BATCH = 1_000
WARM_UP = 2_000


def measure(command: Callable[..., list[str]], bulk: int, single: int) -> Measure:
    """Both ways, each on a queue of its own. `command(url, way, queue, jobs, batch, warm-up)`."""

    def run(scale: Scale) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for way, full in (("bulk", bulk), ("single", single)):
            with Server(scale.rtt_ms) as server:
                jobs = scale.amount(full, min(full, 10_000))
                with Program(command(server.peer_url, way, way, jobs, BATCH, WARM_UP)) as program:
                    program.line()
                    redis_before = server.cpu_seconds()
                    program.go()
                    seconds = program.line()["seconds"]
                    redis_seconds = server.cpu_seconds() - redis_before
                held = int(server.client.llen(f"bull:{way}:wait"))
            if held != jobs + WARM_UP:
                raise ProgramFailed(f"{held:,} jobs in Redis instead of {jobs + WARM_UP:,}")
            numbers[f"{way}_per_second"] = jobs / seconds
            numbers[f"{way}_redis_us"] = redis_seconds / jobs * 1e6
        return numbers

    return run


SCENARIO = Scenario(
    name="add",
    title=f"Adding jobs: batches of {BATCH:,}, and single adds {BATCH:,} at a time",
    peers=(
        Peer("Corral", measure(lambda *args: python("corral_adder", *args), 200_000, 100_000)),
        Peer("BullMQ Node", measure(lambda *args: node("adder.mjs", *args), 100_000, 50_000)),
        Peer("BullMQ Python", measure(lambda *args: python("official_adder", *args), 50_000, 20_000)),
        *peers(adding),
    ),
    metrics=(
        Metric("bulk_per_second", "in bulk, jobs/s"),
        Metric("bulk_redis_us", "in bulk, Redis µs/job", digits=1),
        Metric("single_per_second", "one by one, jobs/s"),
        Metric("single_redis_us", "one by one, Redis µs/job", digits=1),
    ),
    targets=(
        Target("bulk_per_second", "Corral", "BullMQ Node", at_least=4),
        Target("single_per_second", "Corral", "BullMQ Node", at_least=4),
        Target("bulk_per_second", "Corral", "BullMQ Python"),
        Target("single_per_second", "Corral", "BullMQ Python"),
        Target("bulk_per_second", "Corral", "streaQ"),
        Target("bulk_per_second", "Corral", "RQ"),
        *(Target("single_per_second", "Corral", peer.name) for peer in PYTHON_PEERS),
    ),
)
