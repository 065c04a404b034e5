"""Queues and workers on the tests' own Redis, closed and checked at the end of each test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as aioredis
from running_worker import MakeQueue, Redis, RunningWorker, StartWorker

from corral import Queue, Worker
from corral.bullmq.connection import close_shared_clients

_numbers = itertools.count(1)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """For looking behind the scenes."""
    # Statistics are packed: no text.
    client = aioredis.Redis.from_url(redis_url, decode_responses=True, encoding_errors="replace")
    yield client
    await client.aclose()


@pytest.fixture
async def make_queue(redis_url: str) -> AsyncIterator[MakeQueue]:
    """`make_queue(retry=…)`: a queue with a name of its own."""
    made: list[Queue] = []

    def make(name: str | None = None, **options: Any) -> Queue:
        queue = Queue(name or f"queue-{next(_numbers)}", redis_url=redis_url, **options)
        made.append(queue)
        return queue

    yield make
    for queue in made:
        await queue.close()
    await close_shared_clients()


@pytest.fixture
async def queue(make_queue: MakeQueue) -> Queue:
    return make_queue()


@pytest.fixture
async def start_worker(
    monkeypatch: pytest.MonkeyPatch, make_queue: MakeQueue, redis: Redis
) -> AsyncIterator[StartWorker]:
    """`start_worker(queue, concurrency=5)`: started at once, stopped and checked at the end.

    It wants `redis` only to end before it: a handler that used a closed client would open it again, and the
    connection that nobody closes is held against whichever test runs when it is collected.
    """
    monkeypatch.setenv("CORRAL_GRACE_SECONDS", "5")
    running: list[RunningWorker] = []

    def start(*queues: Queue, until_empty: bool = False, **options: Any) -> RunningWorker:
        started = RunningWorker(Worker(*queues, **options), until_empty=until_empty)
        running.append(started)
        return started

    yield start
    for started in running:
        if not started.task.done():
            await started.stop()
