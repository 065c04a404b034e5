"""A server of each test's own, to be killed, and what most of the tests that kill put beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from workers import Ledger

from corral import Queue
from corral.bullmq.connection import close_shared_clients
from redis_process import RedisProcess


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    """Nothing on disk: who kills it, empties it."""
    process = RedisProcess()
    process.start()
    yield process
    process.stop()


@pytest.fixture
def ledger(server: RedisProcess) -> Iterator[Ledger]:
    ledger = Ledger(server)
    yield ledger
    ledger.close()


@pytest.fixture
async def queue(server: RedisProcess) -> AsyncIterator[Queue]:
    """Of children/fire_jobs.py."""
    queue = Queue("fire", redis_url=server.url, prefix="bull")
    yield queue
    await queue.close()
    await close_shared_clients()
