"""How many connections a process holds: the numbers of docs/engine/servers.md."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from running_worker import MakeQueue, Redis, StartWorker

from corral import JobContext
from corral.bullmq.connection import POOL_LIMIT
from eventually import eventually

QUEUES = 5

Clients = Callable[[], Awaitable[list[dict[str, str]]]]


@pytest.fixture
async def clients(redis: Redis) -> Clients:
    """`await clients()`: the connections that came since the test began."""
    before = {client["id"] for client in await redis.client_list()}

    async def new() -> list[dict[str, str]]:
        return [client for client in await redis.client_list() if client["id"] not in before]

    return new


def blocked_in(clients: Clients, command: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return sum(client["cmd"] == command for client in await clients()) == QUEUES

    return look


async def test_a_worker_of_five_queues(
    make_queue: MakeQueue, start_worker: StartWorker, clients: Clients
) -> None:
    queues = [make_queue() for _ in range(QUEUES)]
    done = 0
    most = 0

    for queue in queues:

        @queue.job("build")
        async def build(job: JobContext) -> None:
            nonlocal done
            await job.progress(50)
            done += 1

    await start_worker(*queues, concurrency=20).ready()
    await eventually(blocked_in(clients, "bzpopmin"))
    assert (
        len(await clients()) <= QUEUES + POOL_LIMIT + 1
    )  # one listens for cancellations, no lock is kept yet

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(await clients()))
            await asyncio.sleep(0.005)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(queue.add_many("build", [None] * 400) for queue in queues))
    await eventually(lambda: done == 400 * QUEUES, within=60)
    watcher.cancel()
    assert QUEUES < most <= QUEUES + POOL_LIMIT + 2


async def test_a_process_that_adds_and_waits(make_queue: MakeQueue, clients: Clients) -> None:
    """What an API process does: many adds at once in five queues, and people who wait for results."""
    queues = [make_queue() for _ in range(QUEUES)]
    await asyncio.gather(*(queue.add("build", n) for n in range(200) for queue in queues))
    assert len(await clients()) <= POOL_LIMIT
    waiting = [asyncio.create_task(queue.outcome("1")) for queue in queues for _ in range(20)]
    await eventually(blocked_in(clients, "xread"))
    assert len(await clients()) <= POOL_LIMIT + QUEUES
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
