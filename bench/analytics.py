"""Analytics events: accepted over HTTP in bulk, and drained into SQLite.

`analytics` posts bodies of 100, 500 and 1,000 events to one API process from the bench's own client (two
processes, 8 connections). Every event is checked and in Redis before its 202. `analytics_drain` lets one
worker process of the built-in queue write events that wait already into its default sink; timed from the
first rows in the file to the last, as another process sees them, so start-up is not counted.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from bench.http_enqueue import HEADERS, KEY
from bench.programs import Program, ProgramFailed, python
from bench.scenario import Limit, Measure, Metric, Peer, Scale, Scenario
from bench.server import Server, free_port
from corral import Queue
from corral.queues import built_in

CONNECTIONS = 8
QUEUE_KEY = "bull:analytics"
EVENT = {
    "event": "page_viewed",
    "userId": "user-42",
    "properties": {"path": "/pricing", "referrer": "https://www.example.com/", "seconds": 12.5},
    "timestamp": "2026-11-02T09:30:00.250Z",
}
#: Seconds without a further row after which the worker counts as stuck.
STUCK_SECONDS = 60


def body_of(events: int) -> str:
    return json.dumps({"jobs": [{"name": "track", "data": EVENT}] * events}, separators=(",", ":"))


def accept(events: int) -> Measure:
    """A measurement with so many events in each request."""

    def run(scale: Scale) -> dict[str, float]:
        seconds = max(1, round((3 if scale.quick else 8) * min(1, scale.factor)))
        port = free_port()
        url = f"http://127.0.0.1:{port}/v1/queues/analytics/jobs/bulk"
        with Server(scale.rtt_ms) as server, tempfile.TemporaryDirectory() as folder:
            env = {
                "REDIS_URL": server.peer_url,
                "CORRAL_API_KEYS": f"bench:{KEY}:enqueue",
                "CORRAL_SANDBOX": "1",
            }
            file = Path(folder) / "body.json"
            file.write_text(body_of(events))
            with Program(python("corral_api", port), env) as program:
                wait_for(url, body_of(1), program)
                load(url, file, 1)
                before, held_before = server.cpu_seconds(), held(server)
                api_before = program.cpu_seconds()
                numbers = load(url, file, seconds)
                added = held(server) - held_before
                redis_seconds = server.cpu_seconds() - before
                api_seconds = program.cpu_seconds() - api_before
        requests, errors = numbers.pop("requests"), numbers.pop("errors")
        if errors or added < requests * events:
            raise ProgramFailed(f"{errors:.0f} errors; {added:,} jobs for {requests:,.0f} answers")
        return {
            "events_per_second": numbers["requests_per_second"] * events,
            "p50_ms": numbers["p50_ms"],
            "p99_ms": numbers["p99_ms"],
            "api_us_per_event": api_seconds / added * 1e6,
            "redis_us_per_event": redis_seconds / added * 1e6,
        }

    return run


def wait_for(url: str, body: str, program: Program) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            answer = httpx2.post(url, content=body, headers=HEADERS)
        except httpx2.TransportError:
            program.check()
            if time.monotonic() > deadline:
                raise ProgramFailed(f"no answer at {url}.\n{program.errors()}") from None
            time.sleep(0.05)
            continue
        if answer.status_code != 202:
            raise ProgramFailed(f"{answer.status_code} at {url}: {answer.text[:300]}")
        return


def load(url: str, body: Path, seconds: int) -> dict[str, float]:
    with Program(python("http_client", url, KEY, f"@{body}", CONNECTIONS, seconds)) as client:
        return client.line()


def held(server: Server) -> int:
    pipe = server.client.pipeline(transaction=False)
    pipe.llen(f"{QUEUE_KEY}:wait")
    pipe.zcard(f"{QUEUE_KEY}:prioritized")
    return sum(pipe.execute())


#: Ten batches.
FEWEST_DRAINED = 5_000


def drain(scale: Scale) -> dict[str, float]:
    """One worker process and the file that it fills."""
    # Fewer would be in the file before anybody has looked at it.
    events = max(scale.amount(100_000, 20_000), FEWEST_DRAINED)
    with Server(scale.rtt_ms) as server, tempfile.TemporaryDirectory() as folder:
        asyncio.run(preload(server.url, events))
        env = {"REDIS_URL": server.peer_url, "CORRAL_DATA_DIR": folder, "CORRAL_PREFIX": "bull"}
        command = [sys.executable, "-m", "corral.worker.process", "--queues", "analytics", "--quiet"]
        with Program(command, env) as worker:
            rows = rows_in(Path(folder) / "analytics.sqlite3")
            first = wait_for_rows(rows, 1, worker)
            started, redis_before, worker_before = (
                time.monotonic(),
                server.cpu_seconds(),
                worker.cpu_seconds(),
            )
            last = wait_for_rows(rows, events, worker)
            written, seconds = last - first, time.monotonic() - started
            return {
                "events_per_second": written / seconds,
                "worker_us_per_event": (worker.cpu_seconds() - worker_before) / written * 1e6,
                "redis_us_per_event": (server.cpu_seconds() - redis_before) / written * 1e6,
                "worker_mib": worker.memory_mb(),
            }


async def preload(url: str, events: int) -> None:
    policy = built_in("analytics")["analytics"]
    queue = Queue("analytics", redis_url=url, prefix="bull", retry=policy.retry, priority=policy.priority)
    async with queue:
        for start in range(0, events, 1_000):
            await queue.add_many("track", [EVENT] * min(1_000, events - start))


def rows_in(file: Path) -> Callable[[], int]:
    """Counts the rows: none is deleted, so the largest row number is their number."""

    def count() -> int:
        if not file.exists():
            return 0
        db = sqlite3.connect(file)
        try:
            found = db.execute("select max(rowid) from events").fetchone()
        except sqlite3.OperationalError:
            return 0  # being made
        finally:
            db.close()
        return int(found[0] or 0)

    return count


def wait_for_rows(count: Callable[[], int], goal: int, worker: Program) -> int:
    seen, since = 0, time.monotonic()
    while (rows := count()) < goal:
        if rows > seen:
            seen, since = rows, time.monotonic()
        elif time.monotonic() - since > STUCK_SECONDS:
            raise ProgramFailed(f"stuck at {rows:,} of {goal:,} events.\n{worker.errors()}")
        worker.check()
        time.sleep(0.02)
    return rows


ACCEPT = Scenario(
    name="analytics",
    title=f"Analytics events over …/jobs/bulk: {CONNECTIONS} connections, one API process",
    peers=tuple(Peer(f"{events:,} a request", accept(events)) for events in (100, 500, 1_000)),
    metrics=(
        Metric("events_per_second", "events/s"),
        Metric("p50_ms", "p50, ms", digits=1),
        Metric("p99_ms", "p99, ms", digits=1),
        Metric("api_us_per_event", "API µs/event", digits=1),
        Metric("redis_us_per_event", "Redis µs/event", digits=1),
    ),
    targets=(),
    limits=(Limit("events_per_second", "500 a request", at_least=20_000),),
    notes=lambda: ["Load: the bench's own client, two processes."],
)

DRAIN = Scenario(
    name="analytics_drain",
    title="Analytics events into SQLite: one worker process",
    peers=(Peer("Corral", drain),),
    metrics=(
        Metric("events_per_second", "events/s"),
        Metric("worker_us_per_event", "worker µs/event", digits=1),
        Metric("redis_us_per_event", "Redis µs/event", digits=1),
        Metric("worker_mib", "worker MiB"),
    ),
    targets=(),
)
