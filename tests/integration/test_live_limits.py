"""Limits of a whole queue, changed while workers run, kept where stock BullMQ keeps them."""

from __future__ import annotations

import asyncio

import pytest
from running_worker import MakeQueue, Redis, StartWorker

from corral import JobContext, Queue, RateLimit
from corral.bullmq import settlement as wire
from corral.bullmq.consumer import Consumer
from corral.errors import InvalidOptions
from corral.limits import LiveLimits
from corral.policy import Keep
from corral.worker import idle
from eventually import eventually


class Held:
    """Jobs that run until they are let go."""

    def __init__(self, queue: Queue) -> None:
        self.now = 0
        self.most = 0
        self.done = 0
        self.go = asyncio.Event()

        @queue.job("hold")
        async def hold(job: JobContext) -> None:
            self.now += 1
            self.most = max(self.most, self.now)
            await self.go.wait()
            self.now -= 1
            self.done += 1


async def test_concurrency_is_changed_while_workers_run(
    queue: Queue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "POLL_SECONDS", 60.0)
    held = Held(queue)
    await queue.limits.set_concurrency(2)
    await queue.add_many("hold", [None] * 9)
    for name in ("first", "second"):
        await start_worker(queue, concurrency=10, name=name).ready()
    await eventually(lambda: held.now == 2)
    await queue.limits.set_concurrency(5)
    await eventually(lambda: held.now == 5)
    assert held.most == 5
    await queue.limits.set_concurrency(None)
    await eventually(lambda: held.now == 9)
    held.go.set()
    await eventually(lambda: held.done == 9)


async def test_rate_is_changed_while_workers_run(
    queue: Queue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "POLL_SECONDS", 60.0)
    held = Held(queue)
    held.go.set()
    await queue.limits.set_rate(RateLimit(2, per=3600))
    await queue.add_many("hold", [None] * 9)
    await start_worker(queue, concurrency=10).ready()
    await eventually(lambda: held.done == 2)
    assert 3000 < await queue.limits.rate_limited_for() <= 3600
    await queue.limits.release_rate_limit()
    await eventually(lambda: held.done == 4)
    await queue.limits.set_rate(None)
    await eventually(lambda: held.done == 9)
    assert await queue.limits.rate_limited_for() == 0.0


async def test_limits_are_where_bullmq_keeps_them(queue: Queue, redis: Redis) -> None:
    assert await queue.limits.get() == LiveLimits(None, None)
    await queue.limits.set_rate(RateLimit(10, per=1.5))
    await queue.limits.set_concurrency(3)
    stored = await redis.hgetall(queue.keys().meta)
    assert (stored["max"], stored["duration"], stored["concurrency"]) == ("10", "1500", "3")
    assert await queue.limits.get() == LiveLimits(RateLimit(10, per=1.5), 3)
    await queue.limits.set_rate(None)
    await queue.limits.set_concurrency(None)
    assert await queue.limits.get() == LiveLimits(None, None)
    assert not {"max", "duration", "concurrency"} & set(await redis.hgetall(queue.keys().meta))


async def test_the_declared_rate_counts_where_no_live_one_is_set(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(rate_limit=RateLimit(5, per=60))
    await redis.set(queue.keys().limiter, 5, px=60_000)
    assert 50 < await queue.limits.rate_limited_for() <= 60
    await queue.limits.set_rate(RateLimit(6, per=60))
    assert await queue.limits.rate_limited_for() == 0.0


async def test_limits_that_cannot_hold_are_refused(make_queue: MakeQueue) -> None:
    queue = make_queue(rate_limit=RateLimit(5, per=60))
    with pytest.raises(InvalidOptions, match=r"windows of 60 s"):
        await queue.limits.set_rate(RateLimit(5, per=1))
    with pytest.raises(InvalidOptions, match="pause it"):
        await queue.limits.set_concurrency(0)


async def test_a_place_freed_under_global_concurrency_leaves_a_marker(queue: Queue, redis: Redis) -> None:
    """Another worker may sleep that could take it; without the marker it would notice at its next poll."""
    await queue.limits.set_concurrency(1)
    await queue.add_many("hold", [None] * 2)
    client = queue.client()
    consumer = Consumer(client, client, queue.keys(), worker="w", lock_seconds=60, rate_limit=None)
    (job,) = (await consumer.step("t", 5, [])).jobs
    assert (await consumer.step("t2", 5, [])).stopped
    await redis.delete(queue.keys().marker)
    done = wire.completed(job[0], "t", "null", Keep())
    await consumer.step("", 0, [done])
    assert await redis.zscore(queue.keys().marker, "0") == 0
