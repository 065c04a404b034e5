"""Processing: no-op jobs that wait already, one worker process, 100 at a time.

Jobs a second = jobs / (last `finishedOn` - first `processedOn`), from the timestamps that the workers leave
in the jobs, the same for all peers. Start-up is not counted, warming up is. All finished jobs are kept, which
is BullMQ's default. Redis time is the server's own processor time, from the worker's start to the last
job. What the worker asked of Redis is counted by the server, the bench's own looks (50 a second) included.

The other Python libraries leave no such timestamps: their handlers stamp themselves (sides/recorder.py). That
leaves out their last settlements.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack

from bench.programs import Program, ProgramFailed, node, python
from bench.python_peers import peers, processing
from bench.scenario import Measure, Metric, Peer, Scale, Scenario, Target
from bench.server import Server
from corral import Queue, Retry

QUEUE = "bench"
CONCURRENCY = 100

#: The design's target is of the best of them.
ASYNCIO = ("arq", "SAQ", "streaQ", "taskiq")

#: Seconds without a further finished job after which a peer counts as stuck.
STUCK_SECONDS = 60

#: The first job to start is among the first to be added.
FIRST_JOBS = 200


def measure(command: Callable[[str], list[str]], full: int, quick: int, processes: int = 1) -> Measure:
    """A measurement of the workers that `command(redis_url)` starts, with so many jobs."""

    def run(scale: Scale) -> dict[str, float]:
        jobs = scale.amount(full, quick)
        with Server(scale.rtt_ms) as server:
            asyncio.run(preload(server.url, jobs, Retry(attempts=1)))
            with ExitStack() as stack:
                workers = [stack.enter_context(Program(command(server.peer_url))) for _ in range(processes)]
                for worker in workers:
                    worker.line()
                server.reset_counts()
                redis_before = server.cpu_seconds()
                worker_before = sum(worker.cpu_seconds() for worker in workers)
                for worker in workers:
                    worker.go()
                wait_until_done(server, workers[0], jobs)
                numbers = server.per_job(jobs, redis_before)
                worker_seconds = sum(worker.cpu_seconds() for worker in workers) - worker_before
                memory = sum(worker.memory_mb() for worker in workers)
            seconds = working_seconds(server)
        return numbers | {
            "jobs_per_second": jobs / seconds,
            "worker_us_per_job": worker_seconds / jobs * 1e6,
            "worker_mib": memory,
        }

    return run


async def preload(url: str, jobs: int, retry: Retry, name: str = QUEUE) -> None:
    queue = Queue(name, redis_url=url, prefix="bull", retry=retry)
    async with queue:
        for start in range(0, jobs, 10_000):
            await queue.add_many("noop", [{"n": n} for n in range(start, min(jobs, start + 10_000))])


def wait_until_done(server: Server, program: Program, jobs: int) -> None:
    seen, since = -1, time.monotonic()
    while True:
        done = int(server.client.zcard(f"bull:{QUEUE}:completed"))
        if done >= jobs:
            return
        if done != seen:
            seen, since = done, time.monotonic()
        elif time.monotonic() - since > STUCK_SECONDS:
            raise ProgramFailed(f"stuck at {done:,} of {jobs:,} jobs.\n{program.errors()}")
        program.check()
        time.sleep(0.02)


def working_seconds(server: Server) -> float:
    pipe = server.client.pipeline(transaction=False)
    for job_id in range(1, FIRST_JOBS + 1):
        pipe.hget(f"bull:{QUEUE}:{job_id}", "processedOn")
    pipe.zrevrange(f"bull:{QUEUE}:completed", 0, 0, withscores=True)
    *starts, last = pipe.execute()
    first = min(int(start) for start in starts if start)
    return float(last[0][1] - first) / 1000


SCENARIO = Scenario(
    name="process",
    title=f"Processing no-op jobs: one worker process, concurrency {CONCURRENCY}",
    peers=(
        Peer("Corral", measure(lambda url: python("corral_worker", url, CONCURRENCY), 200_000, 20_000)),
        Peer("BullMQ Node", measure(lambda url: node("worker.mjs", url, CONCURRENCY), 100_000, 20_000)),
        Peer("BullMQ Python", measure(lambda url: python("official_worker", url, CONCURRENCY), 5_000, 2_000)),
        *peers(processing),
    ),
    metrics=(
        Metric("jobs_per_second", "jobs/s"),
        Metric("redis_us_per_job", "Redis µs/job", digits=1),
        Metric("worker_us_per_job", "worker µs/job", digits=1),
        Metric("worker_mib", "worker MiB"),
        Metric("redis_mib", "Redis MiB"),
        Metric("commands_per_job", "Redis commands/job", digits=1),
        Metric("script_calls_per_job", "script calls/job", digits=2),
        Metric("reads_per_job", "round trips/job, at most", digits=2),
    ),
    targets=(
        Target("jobs_per_second", "Corral", "BullMQ Node", at_least=4),
        Target("jobs_per_second", "Corral", "BullMQ Python", at_least=25),
        *(Target("jobs_per_second", "Corral", name, at_least=15) for name in ASYNCIO),
        *(Target("jobs_per_second", "Corral", name) for name in ("dramatiq", "Celery", "RQ")),
        Target("redis_us_per_job", "Corral", "BullMQ Node", at_most=0.35),
        Target("reads_per_job", "Corral", "BullMQ Node"),
    ),
)
