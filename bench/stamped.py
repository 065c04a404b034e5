"""Programs whose jobs are stamped: a worker and a producer of each peer, and how to run them together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.programs import Program, node, python
from bench.python_peers import PYTHON_PEERS, PythonPeer, environment
from bench.recordings import Recordings
from bench.server import Server


@dataclass(frozen=True)
class Stamped:
    """`worker(url, concurrency)` and `sender(url, *arguments of producing.py)` are commands."""

    name: str
    worker: Callable[[str, int], list[str]]
    sender: Callable[..., list[str]]
    #: Its worker says that it is ready, and waits for a line.
    is_told: bool = True


CORRAL = Stamped(
    "Corral",
    lambda url, concurrency: python("corral_worker", url, concurrency, "stamp"),
    lambda url, *rest: python("corral_sender", url, *rest),
)
NODE = Stamped(
    "BullMQ Node",
    lambda url, concurrency: node("worker.mjs", url, concurrency, "stamp"),
    lambda url, *rest: node("sender.mjs", url, *rest),
)
OFFICIAL = Stamped(
    "BullMQ Python",
    lambda url, concurrency: python("official_worker", url, concurrency, "stamp"),
    lambda url, *rest: python("official_sender", url, *rest),
)


def of_python_peer(peer: PythonPeer) -> Stamped:
    return Stamped(
        peer.name,
        lambda url, concurrency: peer.work(concurrency, url),
        lambda _, *rest: peer.side(*rest),
        is_told=False,
    )


OTHERS = tuple(of_python_peer(peer) for peer in PYTHON_PEERS)


@contextmanager
def at_work(
    peer: Stamped, rtt_ms: float, concurrency: int = 100
) -> Iterator[tuple[Server, Program, Recordings]]:
    """A server and the peer's worker, idle."""
    with Server(rtt_ms) as server, Recordings() as recordings:
        env = environment(server, recordings)
        with Program(peer.worker(server.peer_url, concurrency), env) as worker:
            if peer.is_told:
                worker.line()
                worker.go()
            yield server, worker, recordings


@contextmanager
def producer(peer: Stamped, server: Server, *arguments: object) -> Iterator[Program]:
    """Its producer, ready to begin."""
    with Program(peer.sender(server.peer_url, *arguments), environment(server)) as program:
        program.line()
        yield program


def warm_up(peer: Stamped, server: Server, worker: Program, recordings: Recordings, jobs: int) -> int:
    """One job after the other until the worker runs warm; how many handlers have started by then."""
    with producer(peer, server, "send") as sender:
        for _ in range(jobs):
            started = recordings.seen().count
            sender.go()
            recordings.wait_for(started + 1, worker, look_seconds=0.001)
    time.sleep(0.1)
    return recordings.seen().count
