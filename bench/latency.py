"""From being added to starting to run: at rest, and under half of the load that the peer can bear.

Both ends read the system's monotonic clock: the producer before it hands a job to its library, the handler as
its first act. Producer, worker and server are three processes.

`latency`: one job at a time, the next one 5 to 20 ms after the last has started, so that all is at rest.
`half_load`: the producer first adds as fast as it can while the worker runs; half of what then gets done a
second is offered for some seconds, evenly, whether or not earlier jobs are done. A job counts from when it
should have been sent. "Corral, Node's load" is offered half of what Node can do in that round.
"""

from __future__ import annotations

import random
import time

from bench.programs import ProgramFailed
from bench.recordings import in_ms
from bench.scenario import Measure, Metric, Peer, Scale, Scenario, Target
from bench.stamped import CORRAL, NODE, OFFICIAL, OTHERS, Stamped, at_work, producer, warm_up

#: What is left out of every latency: connections, scripts, compilation.
WARM_UP = 50

PAUSE_SECONDS = (0.005, 0.02)


def at_rest(peer: Stamped) -> Measure:
    def run(scale: Scale) -> dict[str, float]:
        jobs = scale.amount(1_000, 150)
        pause = random.Random(1)
        with at_work(peer, scale.rtt_ms) as (server, worker, recordings):
            started = warm_up(peer, server, worker, recordings, 20)
            with producer(peer, server, "send") as sender:
                for n in range(WARM_UP + jobs):
                    sender.go()
                    recordings.wait_for(started + n + 1, worker, look_seconds=0.001)
                    time.sleep(pause.uniform(*PAUSE_SECONDS))
            return in_ms(recordings.latencies(started + WARM_UP))

    return run


def capacity(peer: Stamped, scale: Scale) -> float:
    """Jobs a second that pass through while they are being added."""
    jobs = scale.amount(40_000, 5_000)
    with at_work(peer, scale.rtt_ms) as (server, worker, recordings):
        before = warm_up(peer, server, worker, recordings, 20)
        started = time.monotonic()
        with producer(peer, server, "add", "single", jobs, 1_000, 0) as adder:
            adder.go()
            started = time.monotonic()
            last = recordings.wait_for(before + jobs, worker).last
    if last <= started:
        raise ProgramFailed("all jobs in one moment")
    return jobs / (last - started)


def under_half(peer: Stamped, judge: Stamped) -> Measure:
    def run(scale: Scale) -> dict[str, float]:
        rate = capacity(judge, scale) / 2
        seconds = max(0.5, (2 if scale.quick else 10) * min(1.0, scale.factor))
        with at_work(peer, scale.rtt_ms) as (server, worker, recordings):
            before = warm_up(peer, server, worker, recordings, 20)
            with producer(peer, server, "pace", rate, seconds) as sender:
                sender.go()
                sent = int(sender.line()["jobs"])
            recordings.wait_for(before + sent, worker)
            # The first tenth warms up the program that paces.
            return in_ms(recordings.latencies(before + sent // 10)) | {"rate": rate}

    return run


LATENCY = Scenario(
    name="latency",
    title="From enqueue to start with an idle worker, one job at a time",
    peers=tuple(Peer(peer.name, at_rest(peer)) for peer in (CORRAL, NODE, OFFICIAL, *OTHERS)),
    metrics=(Metric("p50_ms", "p50, ms", digits=2), Metric("p99_ms", "p99, ms", digits=2)),
    targets=(
        Target("p50_ms", "Corral", "BullMQ Node", at_most=1),
        Target("p99_ms", "Corral", "BullMQ Node", at_most=1),
        *(Target("p50_ms", "Corral", peer.name) for peer in (OFFICIAL, *OTHERS)),
    ),
)

AT_NODES_LOAD = "Corral, Node's load"
HALF_LOAD = Scenario(
    name="half_load",
    title="From enqueue to start at half load",
    peers=(
        Peer(CORRAL.name, under_half(CORRAL, CORRAL)),
        Peer(AT_NODES_LOAD, under_half(CORRAL, NODE)),
        Peer(NODE.name, under_half(NODE, NODE)),
        *(Peer(peer.name, under_half(peer, peer)) for peer in (OFFICIAL, OTHERS[1], OTHERS[3])),
    ),
    metrics=(
        Metric("p50_ms", "p50, ms", digits=2),
        Metric("p99_ms", "p99, ms", digits=2),
        Metric("rate", "load, jobs/s"),
    ),
    targets=(
        Target("p50_ms", AT_NODES_LOAD, NODE.name),
        Target("p99_ms", AT_NODES_LOAD, NODE.name),
        Target("p50_ms", CORRAL.name, NODE.name),
        Target("p99_ms", CORRAL.name, NODE.name),
    ),
)
