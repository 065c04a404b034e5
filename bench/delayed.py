"""How late delayed jobs start: jobs due one after the other, a worker with nothing else to do."""

from __future__ import annotations

from bench.recordings import in_ms
from bench.scenario import Limit, Measure, Metric, Peer, Scale, Scenario, Target
from bench.stamped import CORRAL, NODE, OFFICIAL, Stamped, at_work, producer, warm_up

#: The first job is due this many seconds after the adding began, so that all are added by then.
FIRST_DUE_SECONDS = 2.0


def measure(peer: Stamped) -> Measure:
    def run(scale: Scale) -> dict[str, float]:
        jobs = scale.amount(1_000, 200)
        with at_work(peer, scale.rtt_ms) as (server, worker, recordings):
            before = warm_up(peer, server, worker, recordings, 20)
            # 100 a second.
            with producer(peer, server, "later", jobs, FIRST_DUE_SECONDS, jobs / 100) as adder:
                adder.go()
                adder.line()
                recordings.wait_for(before + jobs, worker)
            latencies = recordings.latencies(before)
            # BullMQ's wire holds due times in whole milliseconds, so a start may be half of one early.
            return in_ms([max(0.0, late) for late in latencies])

    return run


SCENARIO = Scenario(
    name="delayed",
    title="Delayed jobs: how late they start, worker idle, 100 due a second",
    peers=tuple(Peer(peer.name, measure(peer)) for peer in (CORRAL, NODE, OFFICIAL)),
    metrics=(Metric("p50_ms", "p50, ms", digits=2), Metric("p99_ms", "p99, ms", digits=2)),
    targets=(
        Target("p50_ms", "Corral", "BullMQ Node", at_most=1),
        Target("p99_ms", "Corral", "BullMQ Node", at_most=1),
        Target("p50_ms", "Corral", "BullMQ Python"),
    ),
    limits=(Limit("p99_ms", "Corral", below=50),),
)
