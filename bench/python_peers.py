"""The other Python libraries: how each is started, in the configuration that its documentation names fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.environments import interpreter
from bench.programs import ROOT, Program, ProgramFailed
from bench.recordings import Recordings
from bench.scenario import Measure, Peer, Scale
from bench.server import Server

URL = "{redis}"

#: Full and quick. Who is measured for a second or two a round must not take minutes.
Jobs = tuple[int, int]


@dataclass(frozen=True)
class PythonPeer:
    """`worker(concurrency)` is what follows the interpreter on the command line, with URL for Redis's."""

    name: str
    key: str
    worker: Callable[[int], list[str]]
    jobs: Jobs
    bulk: bool = False

    def side(self, *arguments: object) -> list[str]:
        return [str(interpreter(self.key)), "-m", f"bench.sides.{self.key}_side", *map(str, arguments)]

    def work(self, concurrency: int, url: str) -> list[str]:
        arguments = self.worker(concurrency)
        return [str(interpreter(self.key)), *(url if text == URL else text for text in arguments)]


def environment(server: Server, recordings: Recordings | None = None) -> dict[str, str]:
    """For a peer's program. Its own folder comes first on the path, not that of who started the bench."""
    env = {"BENCH_REDIS_URL": server.peer_url, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    return env | (recordings.env if recordings else {})


def own_side(key: str) -> Callable[[int], list[str]]:
    return lambda concurrency: ["-m", f"bench.sides.{key}_side", "work", str(concurrency)]


PYTHON_PEERS = (
    PythonPeer("arq", "arq", own_side("arq"), (5_000, 1_000)),
    PythonPeer("SAQ", "saq", own_side("saq"), (10_000, 1_500)),
    PythonPeer("streaQ", "streaq", own_side("streaq"), (10_000, 1_000), bulk=True),
    PythonPeer(
        "taskiq",
        "taskiq",
        lambda concurrency: [
            *("-m", "taskiq", "worker", "bench.sides.taskiq_side:broker", "--workers", "1"),
            *("--max-async-tasks", str(concurrency), "--log-level", "ERROR"),
        ],
        (20_000, 1_000),
    ),
    PythonPeer(
        "dramatiq",
        "dramatiq",
        lambda _: ["-m", "dramatiq", "bench.sides.dramatiq_side", "--skip-logging"],
        (20_000, 3_000),
    ),
    PythonPeer(
        "Celery",
        "celery",
        lambda _: [
            *("-m", "celery", "-A", "bench.sides.celery_side", "worker", "--loglevel", "ERROR"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ],
        (10_000, 1_500),
    ),
    PythonPeer(
        "RQ",
        "rq",
        lambda _: [
            *("-c", "from rq.cli import main; main()", "worker", "bench", "--quiet", "--url", URL),
            *("--worker-class", "rq.worker.SimpleWorker", "--disable-job-desc-logging"),
        ],
        (5_000, 500),
        bulk=True,
    ),
)


def processing(peer: PythonPeer) -> Measure:
    """As `process` does it, but from the stamps of the handlers: first start to last start."""

    def run(scale: Scale) -> dict[str, float]:
        jobs = scale.amount(*peer.jobs)
        with Server(scale.rtt_ms) as server, Recordings() as recordings:
            env = environment(server)
            with Program(
                peer.side("add", "bulk" if peer.bulk else "single", jobs, 1_000, 0), env
            ) as producer:
                producer.line()
                producer.go()
                producer.line()
            server.reset_counts()
            redis_before = server.cpu_seconds()
            with Program(peer.work(100, server.peer_url), environment(server, recordings)) as worker:
                seen = recordings.wait_for(jobs, worker)
                numbers = server.per_job(jobs, redis_before)
                cpu, memory = worker.cpu_seconds(), worker.memory_mb()
        if seen.last <= seen.first:
            raise ProgramFailed("all jobs in one moment")
        return numbers | {
            "jobs_per_second": jobs / (seen.last - seen.first),
            "worker_us_per_job": cpu / jobs * 1e6,
            "worker_mib": memory,
        }

    return run


def adding(peer: PythonPeer) -> Measure:
    """Both ways of adding, where the library has both."""

    def run(scale: Scale) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for way in ("bulk", "single") if peer.bulk else ("single",):
            jobs = scale.amount(10_000, 1_000)
            side = peer.side("add", way, jobs, 1_000, 1_000)
            with Server(scale.rtt_ms) as server, Program(side, environment(server)) as program:
                program.line()
                redis_before = server.cpu_seconds()
                program.go()
                seconds = program.line()["seconds"]
                redis_seconds = server.cpu_seconds() - redis_before
            numbers[f"{way}_per_second"] = jobs / seconds
            numbers[f"{way}_redis_us"] = redis_seconds / jobs * 1e6
        return numbers

    return run


def peers(measure: Callable[[PythonPeer], Measure]) -> tuple[Peer, ...]:
    return tuple(Peer(peer.name, measure(peer)) for peer in PYTHON_PEERS)
