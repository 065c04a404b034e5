"""A backlog of a million jobs beside one of ten thousand: does the length of the queue cost speed?

Both servers hold the same million jobs; in one all wait in the measured queue, in the other all but ten
thousand wait in another. A server with ten thousand jobs and nothing else is measured beside them: all that
it holds fits the processor's cache, which is a fact about memory and not about the queue.

The same happens to each, twenty times: pause, add ten thousand jobs, resume, and wait until so many are done.
Timed, by the jobs' own `finishedOn`, is from the 2,000th to the 10,000th of each turn: seconds in all, with
the worker warm. The rate is that of all turns together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bench.process import CONCURRENCY, QUEUE, preload, wait_until_done
from bench.programs import Program, node, python
from bench.scenario import Measure, Metric, Peer, Scale, Scenario, Target
from bench.server import Server
from corral import Queue, Retry

#: Jobs of a turn, and from which of them on it is timed.
TURN, WARM = 10_000, 2_000
TURNS, TURNS_QUICK = 20, 3
LONG, LONG_QUICK = 1_000_000, 50_000


def measure(command: Callable[[str], list[str]], *, others: str | None) -> Measure:
    """others: the queue in which the rest of the million waits; None: there is no rest."""

    def run(scale: Scale) -> dict[str, float]:
        turns = TURNS_QUICK if scale.quick else TURNS
        rest = scale.amount(LONG, LONG_QUICK) - TURN if others else 0
        with Server(scale.rtt_ms) as server:
            asyncio.run(preload(server.url, rest, Retry(attempts=1), others or QUEUE))
            held = float(server.info()["used_memory"])
            asyncio.run(pause_and_add(server.url))
            numbers = {"mib": held / 2**20}
            with Program(command(server.peer_url)) as worker:
                worker.line()
                worker.go()
                seconds, redis_seconds, done = 0.0, 0.0, 0
                for _ in range(turns):
                    before = server.cpu_seconds()
                    asyncio.run(resume(server.url))
                    wait_until_done(server, worker, done + TURN)
                    redis_seconds += server.cpu_seconds() - before
                    seconds += finished(server, done + TURN - 1) - finished(server, done + WARM)
                    asyncio.run(pause_and_add(server.url))
                    done = settled(server)
        numbers |= {
            "jobs_per_second": turns * (TURN - 1 - WARM) / seconds,
            "redis_us_per_job": redis_seconds / done * 1e6,
            "timed_seconds": seconds,
        }
        return numbers | ({"bytes_per_job": held / rest} if rest else {})

    return run


async def pause_and_add(url: str) -> None:
    async with Queue(QUEUE, redis_url=url, prefix="bull") as queue:
        await queue.admin.pause()
    await preload(url, TURN, Retry(attempts=1))


async def resume(url: str) -> None:
    async with Queue(QUEUE, redis_url=url, prefix="bull") as queue:
        await queue.admin.resume()


def settled(server: Server) -> int:
    """Jobs done, once the worker of a paused queue has ended what it held."""
    while server.client.llen(f"bull:{QUEUE}:active"):
        pass
    return int(server.client.zcard(f"bull:{QUEUE}:completed"))


def finished(server: Server, place: int) -> float:
    """When the job at this place of the order of finishing was done, in seconds."""
    found: Any = server.client.zrange(f"bull:{QUEUE}:completed", place, place, withscores=True)
    return float(found[0][1]) / 1000


def corral(url: str) -> list[str]:
    return python("corral_worker", url, CONCURRENCY)


def bullmq(url: str) -> list[str]:
    return node("worker.mjs", url, CONCURRENCY)


SCENARIO = Scenario(
    name="backlog",
    title="A backlog of 1,000,000 jobs against one of 10,000 in a server that holds as much",
    peers=(
        Peer("Corral, 1,000,000", measure(corral, others=QUEUE)),
        Peer("Corral, 10,000", measure(corral, others="elsewhere")),
        Peer("Corral, 10,000 alone", measure(corral, others=None)),
        Peer("BullMQ Node, 1,000,000", measure(bullmq, others=QUEUE)),
        Peer("BullMQ Node, 10,000", measure(bullmq, others="elsewhere")),
    ),
    metrics=(
        Metric("jobs_per_second", "jobs/s, 2,000th to 10,000th of each turn"),
        Metric("redis_us_per_job", "Redis µs/job", digits=1),
        Metric("timed_seconds", "seconds timed", digits=1),
        Metric("mib", "Redis MiB at the start"),
        Metric("bytes_per_job", "Redis, bytes/waiting job"),
    ),
    targets=(
        Target("jobs_per_second", "Corral, 1,000,000", "Corral, 10,000", at_least=0.9),
        Target("redis_us_per_job", "Corral, 1,000,000", "Corral, 10,000"),
        Target("jobs_per_second", "Corral, 1,000,000", "Corral, 10,000 alone"),
        Target("jobs_per_second", "BullMQ Node, 1,000,000", "BullMQ Node, 10,000"),
        Target("jobs_per_second", "Corral, 1,000,000", "BullMQ Node, 1,000,000"),
    ),
)
