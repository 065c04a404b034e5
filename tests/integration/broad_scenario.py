"""One walk through everything that talks to Redis, for every kind of server."""

from __future__ import annotations

import asyncio

from running_worker import RunningWorker

from corral import Job, JobContext, Queue, Retry, Snooze, Worker
from corral.breakers import Breakers
from corral.bullmq.connection import blocking_client, shared_client
from corral.bullmq.consumer import Consumer
from corral.errors import Held, JobFailed
from eventually import eventually


def consumer_of(queue: Queue, worker: str, lock_seconds: float) -> Consumer:
    """A worker's hand at the queue, for a test that plays a worker."""
    address = queue.address()
    blocking = blocking_client(address, queue.keys().client_name(worker))
    return Consumer(
        shared_client(address),
        blocking,
        queue.keys(),
        worker=worker,
        lock_seconds=lock_seconds,
        rate_limit=None,
    )


def _declare(queue: Queue) -> list[str]:
    """The handlers, and the list of what `echo` saw."""
    order: list[str] = []
    snoozed: set[str] = set()

    @queue.job("echo")
    async def echo(job: JobContext, data: str) -> str:
        order.append(data)
        if not data.startswith("bulk"):
            await job.progress(50)
            await job.log(f"saw {data}")
        return data

    @queue.job("fails")
    async def fails(job: JobContext, times: int) -> int:
        if job.attempt <= times:
            raise RuntimeError("not yet")
        return job.attempt

    @queue.job("waits")
    async def waits(job: JobContext) -> object:
        await job.checkpoint({"seen": True})
        return await job.wait_for(f"walk:{job.id}", timeout=60)

    @queue.job("snoozes")
    async def snoozes(job: JobContext) -> str:
        if job.id not in snoozed:
            snoozed.add(job.id)
            raise Snooze(0.01)
        return "awake"

    @queue.job("needs")
    async def needs(job: JobContext) -> str:
        if job.id not in snoozed:
            snoozed.add(job.id)
            raise Held("acme", "out of order")
        return "served"

    return order


async def walk_through(redis_url: str, prefix: str, bulk_jobs: int = 1_500) -> None:
    """Adds of every kind, a worker, retries, a stalled job, a durable wait, a breaker, results and counts.

    The environment must have short CORRAL_LOCK_SECONDS and CORRAL_STALLED_SECONDS.
    """
    queue = Queue("walk", redis_url=redis_url, prefix=prefix, retry=Retry(attempts=3, delays=(0.05,)))
    order = _declare(queue)

    # A worker that dies with a job in its hands.
    stalled = await queue.add("echo", "stalled")
    dead = consumer_of(queue, "dead", 0.1)
    fetched = await dead.step("dead:1", 1, [])
    assert [values[0] for values in fetched.jobs] == [stalled.id]
    await dead._blocking.aclose()

    low = await queue.add("echo", "low", priority=20)
    high = await queue.add("echo", "high", priority=1)
    plain = await queue.add("echo", "plain")
    once = await queue.add("echo", "once", idempotency_key="walk")
    assert (await queue.add("echo", "once", idempotency_key="walk")).id == once.id
    assert (await queue.counts())["prioritized"] == 2
    bulk = await queue.add_many("echo", [f"bulk-{number}" for number in range(bulk_jobs)])
    late = await queue.add("echo", "late", delay=0.3)
    retried = await queue.add("fails", 2)
    doomed = await queue.add("fails", 9)
    waiting = await queue.add("waits")
    snoozing = await queue.add("snoozes")
    assert (await queue.counts())["delayed"] == 1

    running = await RunningWorker(Worker(queue, concurrency=1), until_empty=False).ready()
    async with asyncio.timeout(60):
        for job, value in (
            (plain, "plain"),
            (low, "low"),
            (high, "high"),
            (late, "late"),
            (bulk[-1], f"bulk-{bulk_jobs - 1}"),
        ):
            assert await job.result(timeout=40) == value
        assert await stalled.result(timeout=40) == "stalled"
        assert await retried.result(timeout=40) == 3
        assert await snoozing.result(timeout=40) == "awake"
        try:
            await doomed.result(timeout=40)
            raise AssertionError("it failed three times")
        except JobFailed:
            pass
        await eventually(lambda: _delayed(queue))
        assert await queue.signal(f"walk:{waiting.id}", {"clear": True}) is True
        assert await waiting.result(timeout=40) == {"clear": True}
        held, breakers = await queue.add("needs"), Breakers(redis_url, prefix)
        await eventually(lambda: _held(breakers, queue))
        await breakers.resume("acme")
        assert await held.result(timeout=40) == "served"

    await _check(queue, order, plain, bulk_jobs)
    await running.stop()
    await queue.close()


async def _check(queue: Queue, order: list[str], plain: Job, bulk_jobs: int) -> None:
    assert order.index("plain") < order.index("high") < order.index("low")
    assert sorted(order) == sorted(
        [
            "stalled",
            "low",
            "high",
            "plain",
            "once",
            "late",
            *(f"bulk-{number}" for number in range(bulk_jobs)),
        ]
    )
    assert await queue.logs(plain.id) == ["saw plain"]
    counts = await queue.counts()
    assert counts["failed"] == 1
    assert [counts[state] for state in ("waiting", "active", "delayed", "prioritized")] == [0, 0, 0, 0]


async def _delayed(queue: Queue) -> bool:
    return (await queue.counts())["delayed"] == 1


async def _held(breakers: Breakers, queue: Queue) -> bool:
    return await breakers.held_by_queue() == {queue.name: 1}
