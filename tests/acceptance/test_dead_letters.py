"""Ten thousand dead letters are retried at a bounded rate, whoever is killed or stopped meanwhile.

Workers and commands are real processes. The rate is read from the events that Redis stamped.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from service import corral, environment
from workers import Ledger, Workers, counts, workers

from corral import Queue, Retry
from corral.breakers import Breakers
from corral.bullmq.connection import close_shared_clients
from corral.dead import Filter, Target
from eventually import eventually
from redis_process import RedisProcess

JOBS = 10_000
RATE = 500

#: What a carrier that comes late catches up with: a quarter of a second.
BURST = RATE // 4


@pytest.fixture
def group(server: RedisProcess, tmp_path: Path) -> Iterator[Workers]:
    with workers(server, tmp_path, "dead_jobs:queue") as running:
        yield running


@pytest.fixture
async def queue(server: RedisProcess) -> AsyncIterator[Queue]:
    """For what a loaded machine should not start a process for."""
    yield Queue("parcels", redis_url=server.url, retry=Retry(attempts=1))
    await close_shared_clients()


async def add(queue: Queue, count: int) -> None:
    await queue.add_many("ship", [{"n": n} for n in range(count)])


async def _is(queue: Queue, operation: str, state: str) -> bool:
    return (await queue.dead.operation(operation)).state == state


def dead(server: RedisProcess, cwd: Path, *arguments: str) -> Any:
    done = corral("dead", *arguments, "--json", cwd=cwd, REDIS_URL=server.url)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def retries(server: RedisProcess) -> list[int]:
    """When each job was put back, in milliseconds of the server."""
    rows: Any = server.client.xrange("bull:parcels:events")
    return [int(row_id.split("-")[0]) for row_id, fields in rows if fields.get("prev") == "failed"]


async def test_ten_thousand_at_five_hundred_a_second(
    server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue, tmp_path: Path
) -> None:
    server.client.hset("bull:parcels:meta", "opts.maxLenEvents", 10 * JOBS)
    await add(queue, JOBS)
    group.start()
    group.start()
    await eventually(lambda: counts(server, "parcels")["failed"] == JOBS, 60)
    ledger.open()
    while not (await queue.dead.groups()).standing.complete:
        pass
    (kind,) = (await queue.dead.groups()).groups
    assert (kind.count, kind.error) == (JOBS, "dead_jobs.Closed")

    command = [sys.executable, "-m", "corral", "dead", "retry", "parcels", "--group", kind.id]
    carrier = subprocess.Popen(
        [*command, "--rate", f"{RATE}/s", "--yes", "--json"],
        cwd=tmp_path,
        env=environment(REDIS_URL=server.url),
        stdout=subprocess.DEVNULL,
    )
    try:
        await eventually(lambda: counts(server, "parcels")["failed"] <= JOBS - 1_000, 60)
    finally:
        carrier.send_signal(signal.SIGKILL)
        carrier.wait(10)
    (killed,) = await queue.dead.operations()
    assert (killed.state, killed.total) == ("running", JOBS)
    await eventually(lambda: counts(server, "parcels")["failed"] <= JOBS - killed.moved - 1_000, 60)

    await queue.dead.stop(killed.id)
    await eventually(lambda: _is(queue, killed.id, "stopped"), 30)
    stopped = await queue.dead.operation(killed.id)
    assert 2_000 <= stopped.moved < JOBS
    assert stopped.gone == 0
    assert counts(server, "parcels")["failed"] == JOBS - stopped.moved

    rest = dead(server, tmp_path, "retry", "parcels", "--group", kind.id, "--rate", str(RATE), "--yes")

    assert (rest["state"], rest["moved"], rest["gone"]) == ("done", JOBS - stopped.moved, 0)
    await eventually(lambda: counts(server, "parcels")["completed"] == JOBS, 60)
    assert ledger.done() == dict.fromkeys(range(JOBS), 2)  # once, and once more
    assert counts(server, "parcels")["failed"] == 0
    stamps = retries(server)
    assert len(stamps) == JOBS
    last = 0
    for first, stamp in enumerate(stamps):
        while last < JOBS and stamps[last] < stamp + 1_000:
            last += 1
        assert last - first <= RATE + 2 * BURST


async def test_retried_when_the_breaker_closes(
    server: RedisProcess, group: Workers, ledger: Ledger, queue: Queue, tmp_path: Path
) -> None:
    await add(queue, 20)
    group.start()
    await eventually(lambda: counts(server, "parcels")["failed"] == 20, 60)
    breakers = Breakers(server.url)
    await breakers.hold("acme", "moving")
    everything = Target(filter=Filter())
    operation = (await queue.dead.retry_many(everything, breaker="acme")).id
    ledger.open()

    async def collected() -> bool:
        return (await queue.dead.operation(operation)).total == 20

    await eventually(collected, 60)
    assert counts(server, "parcels")["failed"] == 20
    await breakers.resume("acme")
    await eventually(lambda: counts(server, "parcels")["completed"] == 20, 60)
    assert ledger.done() == dict.fromkeys(range(20), 2)
    await eventually(lambda: _is(queue, operation, "done"), 30)
