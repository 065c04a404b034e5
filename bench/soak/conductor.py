"""One run: start everything, break it by the plan, let it drain, judge."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil
import redis

from bench.soak import plan
from bench.soak.crew import Api, Crew, end, producers
from bench.soak.faults import Breaker
from bench.soak.ledger import Book, Ledger, done_so_far, read
from bench.soak.plan import Fault, World
from bench.soak.verdict import Held, Verdict, judge
from bench.soak.world import Servers, servers, until

#: A job whose name no worker knew is looked at every 30 s, rescues take lock and interval: more than both.
DRAIN_SECONDS = 180.0


@dataclass(frozen=True)
class Options:
    seed: int
    seconds: float
    rate: float
    world: World

    @property
    def command(self) -> str:
        """What replays it."""
        return (
            f"python -m bench soak --world {self.world} --seed {self.seed} "
            f"--seconds {self.seconds:g} --rate {self.rate:g}"
        )


@dataclass
class Outcome:
    options: Options
    book: Book
    verdict: Verdict
    started: float
    #: When the last producer had its last answer, and when the queue was empty.
    produced: float
    drained: float
    server: str
    world: str
    plan: tuple[Fault, ...]
    surprises: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.verdict.good and not self.surprises


async def run(options: Options, folder: Path) -> Outcome:
    """Everything is stopped when it returns or raises. `folder` keeps the ledger and the logs."""
    faults = plan.draw(options.seed, options.seconds, options.world)
    ledger = Ledger(folder, "conductor")
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(ledger.close)
        world = await asyncio.to_thread(servers, options.world, folder / "redis")
        stack.callback(world.stop)
        server = world.version()
        crew = Crew(world, folder)
        stack.callback(crew.stop)
        api = Api(world, folder)
        stack.callback(lambda: end(api.process))
        adding = producers(world, api, ledger, folder, options.rate)
        breaker = Breaker(world, crew, api, adding, ledger)
        watching = stack.enter_context(_watch(world, crew, api, ledger))
        await asyncio.to_thread(_until_in_service, folder, api)
        started, clock = time.time(), asyncio.get_running_loop().time()
        try:
            await _break(breaker, faults, clock, crew, options.seconds)
        finally:
            stopping = [asyncio.to_thread(producer.stop) for producer in adding.values()]
            failures = [x for x in await asyncio.gather(*stopping, return_exceptions=True) if x is not None]
        produced = time.time()
        watching.set()
        await asyncio.to_thread(_drain, world, crew)
        drained = time.time()
        await asyncio.to_thread(crew.stop)
        held: list[Held] = list(world.held())
    book = read(folder)
    # One that was told to stop before it could listen dies of it, and had no job.
    worked = {run.process for run in book.begun}
    surprises = [said for process, said in crew.surprises.items() if process in worked]
    surprises += [str(failure) for failure in failures]
    verdict = judge(book, held)
    return Outcome(options, book, verdict, started, produced, drained, server, world.name, faults, surprises)


def _until_in_service(folder: Path, api: Api) -> None:
    """No fault counts before the service runs: each worker's start may take seconds on a busy machine."""

    def serves() -> bool:
        with contextlib.suppress(httpx2.TransportError):
            return httpx2.get(f"{api.url}/readyz").status_code == 200 and done_so_far(folder) >= 10
        return False

    until(serves)


async def _break(
    breaker: Breaker, faults: tuple[Fault, ...], clock: float, crew: Crew, seconds: float
) -> None:
    lanes: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        lanes[fault.lane].append(fault)

    async def until_over() -> None:
        while asyncio.get_running_loop().time() < clock + seconds:
            await asyncio.sleep(0.5)
            await crew.look()

    async with asyncio.TaskGroup() as group:
        group.create_task(until_over())
        for lane in lanes.values():
            group.create_task(breaker.lane(lane, clock))


def _drain(world: Servers, crew: Crew) -> None:
    """Until nothing waits or runs, or patience ends: what is left then is the verdict's to find."""
    limit = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < limit:
        with contextlib.suppress(redis.RedisError):
            if world.left() == 0:
                return
        if all(process.poll() is not None for process in crew.running):
            return
        time.sleep(0.2)
    print(f"soak: not empty after {DRAIN_SECONDS:g} s", file=sys.stderr)


@contextlib.contextmanager
def _watch(world: Servers, crew: Crew, api: Api, ledger: Ledger) -> Iterator[threading.Event]:
    """Once a second: resident memory of workers and API, and what Redis says it uses."""
    ending = threading.Event()

    def look() -> None:
        while not ending.wait(1):
            with contextlib.suppress(psutil.NoSuchProcess):
                sizes = [psutil.Process(one.pid).memory_info().rss for one in crew.running]
                ledger.memory(time.time(), "workers, each", sum(sizes) // len(sizes))
                ledger.memory(time.time(), "API", psutil.Process(api.process.pid).memory_info().rss)
            with contextlib.suppress(redis.RedisError, OSError):
                ledger.memory(time.time(), "Redis", world.used_memory())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield ending
    finally:
        ending.set()
        thread.join(30)
