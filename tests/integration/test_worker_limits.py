"""Limits that hold over all workers together (rate, concurrency, pause), and the order of what waits."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import JobContext, Queue, RateLimit, Retry
from corral.bullmq.scripts import official
from corral.worker import idle
from eventually import eventually


async def switch(queue: Queue, state: str) -> None:
    """Pause or resume as any BullMQ client does."""
    keys = queue.keys()
    wait, paused = (keys.wait, keys.paused) if state == "paused" else (keys.paused, keys.wait)
    await official("pause")(
        queue._bind().client,
        [wait, paused, keys.meta, keys.prioritized, keys.events, keys.delayed, keys.marker],
        state,
        "1",
    )


def starts_in_any_window(starts: list[float], window: float) -> int:
    """The most starts that any window of so many seconds, beginning with a start, holds."""
    return max(sum(first <= other < first + window for other in starts) for first in starts)


# Rate


async def test_a_rate_limit_holds_over_two_workers(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(rate_limit=RateLimit(5, per=0.4))
    starts: list[float] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        starts.append(time.monotonic())

    for name in ("first", "second"):
        await start_worker(queue, concurrency=10, name=name).ready()
    await queue.add_many("build", range(20))
    await eventually(lambda: len(starts) == 20)
    # Windows are fixed, so two of them may meet; a third part of a window leaves room for a slow machine.
    assert starts_in_any_window(starts, 0.4 / 3) <= 10
    # 20 starts need four windows, so three whole ones lie between the first and the last.
    assert starts[-1] - starts[0] > 2 * 0.4


async def test_until_empty_waits_for_the_rate_limit(make_queue: MakeQueue) -> None:
    queue = make_queue(rate_limit=RateLimit(2, per=0.1))

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None: ...

    await queue.add_many("build", range(7))
    await drain(queue)
    assert (await queue.counts())["completed"] == 7


async def test_a_rate_limit_of_the_whole_queue_is_obeyed(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    """As Node's setGlobalRateLimit leaves it."""
    starts: list[float] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        starts.append(time.monotonic())

    await redis.hset(queue.keys().meta, mapping={"max": 3, "duration": 300})
    await queue.add_many("build", range(9))
    start_worker(queue)
    await eventually(lambda: len(starts) == 9)
    assert starts[-1] - starts[0] > 0.3


async def test_a_manual_limit_holds_everything_back(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    """As Node's queue.rateLimit(ms) leaves it; it goes by itself."""
    queue = make_queue(rate_limit=RateLimit(100))
    done = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext) -> None:
        assert await redis.get(queue.keys().limiter) == "1"
        done.set()

    await redis.set(queue.keys().limiter, 2**53 - 1, px=300)
    await queue.add("build")
    running = await start_worker(queue).ready()
    async with asyncio.timeout(15):
        await done.wait()
    await running.stop()
    assert (await queue.counts())["completed"] == 1


async def test_a_far_delayed_job_does_not_keep_a_rate_limit_from_its_end(
    make_queue: MakeQueue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have their moment to look again; the earlier one counts."""
    monkeypatch.setattr(idle, "POLL_SECONDS", 60.0)
    queue = make_queue(rate_limit=RateLimit(1, per=0.1))
    done = 0

    @queue.job("build")
    async def build(job: JobContext) -> None:
        nonlocal done
        done += 1
        await queue.add("build", delay=3600)  # moves the marker each time

    await queue.add_many("build", range(6))
    start_worker(queue)
    await eventually(lambda: done == 6)


async def test_retries_count_as_starts(make_queue: MakeQueue) -> None:
    queue = make_queue(rate_limit=RateLimit(2, per=0.15), retry=Retry(attempts=5, backoff="fixed", delay=0))
    starts: list[float] = []

    @queue.job("build")
    async def build(job: JobContext) -> None:
        starts.append(time.monotonic())
        if job.attempt < 5:
            raise ValueError("again")

    await queue.add("build")
    await drain(queue)
    assert len(starts) == 5
    assert starts[-1] - starts[0] > 0.15


# Global concurrency


async def test_global_concurrency_holds_over_two_workers(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    running = peak = done = 0

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        nonlocal running, peak, done
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.005)
        running -= 1
        done += 1

    await redis.hset(queue.keys().meta, "concurrency", 3)
    for name in ("first", "second"):
        start_worker(queue, concurrency=10, name=name)
    await queue.add_many("build", range(60))
    # Without a wake-up when a place becomes free, each would wait for a poll of 5 s.
    await eventually(lambda: done == 60)
    assert peak == 3


async def test_a_place_that_another_worker_frees_is_used(
    queue: Queue, start_worker: StartWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One place, two workers, the one that had it stops: nobody tells the other, which looks now and then."""
    monkeypatch.setattr(idle, "POLL_SECONDS", 0.2)
    done = 0

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        nonlocal done
        await asyncio.sleep(0.002)
        done += 1

    await redis.hset(queue.keys().meta, "concurrency", 1)
    first = await start_worker(queue, name="first").ready()
    await start_worker(queue, name="second").ready()
    await queue.add_many("build", range(20))
    await eventually(lambda: done >= 5)
    await first.stop()
    await eventually(lambda: done == 20)


async def test_until_empty_under_global_concurrency(queue: Queue, redis: Redis) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        await asyncio.sleep(0.001)

    await redis.hset(queue.keys().meta, "concurrency", 2)
    await queue.add_many("build", range(30))
    await drain(queue)
    assert (await queue.counts())["completed"] == 30


# Pause


async def test_a_paused_queue_starts_nothing_and_goes_on_when_resumed(
    queue: Queue, start_worker: StartWorker
) -> None:
    started, gate = asyncio.Event(), asyncio.Event()
    ran: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        if data == 0:
            started.set()
            await gate.wait()
        ran.append(data)

    start_worker(queue, concurrency=5)
    held = await queue.add("build", 0)
    async with asyncio.timeout(15):
        await started.wait()
    await switch(queue, "paused")
    later = await queue.add_many("build", range(1, 11))
    soon = await queue.add("build", 11, delay=0.05)
    gate.set()  # what runs is not touched by a pause
    assert await held.result(timeout=15) is None

    async def due() -> bool:
        return (await queue.counts())["delayed"] == 0

    await queue.add("build", 12, priority=1)
    # Its finish made the worker look again: the delayed job may have been promoted, none may have started.
    assert ran == [0]
    await switch(queue, "resumed")
    for job in [*later, soon]:
        assert await job.result(timeout=15) is None
    await eventually(lambda: sorted(ran) == list(range(13)))
    assert await due()


async def test_a_worker_that_starts_on_a_paused_queue(queue: Queue, start_worker: StartWorker) -> None:
    ran = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext) -> None:
        ran.set()

    await switch(queue, "paused")
    await queue.add("build")
    await start_worker(queue).ready()
    await switch(queue, "resumed")
    async with asyncio.timeout(15):
        await ran.wait()


# Order


async def test_priority_order_while_running(queue: Queue, start_worker: StartWorker) -> None:
    gates = [asyncio.Event() for _ in range(4)]
    ran: list[Any] = []

    @queue.job("build")
    async def build(job: JobContext, data: Any) -> None:
        ran.append(data)
        if isinstance(data, int):
            await gates[data].wait()

    start_worker(queue, concurrency=1)
    await queue.add("build", 0)
    await eventually(lambda: ran == [0])
    await queue.add("build", "low", priority=10)
    await queue.add("build", 1, priority=5)
    await queue.add("build", "high", priority=1)
    gates[0].set()
    await eventually(lambda: ran == [0, "high", 1])
    await queue.add("build", "urgent", priority=1)
    await queue.add("build", "plain")
    gates[1].set()
    await eventually(lambda: ran == [0, "high", 1, "plain", "urgent", "low"])


async def test_a_retry_keeps_its_priority(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=2, backoff="fixed", delay=0))
    ran: list[str] = []

    @queue.job("build")
    async def build(job: JobContext, data: str) -> None:
        ran.append(data)
        if data == "high" and job.attempt == 1:
            raise ValueError("again")

    await queue.add("build", "high", priority=1)
    await queue.add("build", "low", priority=9)
    await queue.add("build", "low", priority=9)
    await drain(queue, concurrency=1)
    assert ran == ["high", "high", "low", "low"]


# Delay


async def test_delayed_jobs_start_at_their_time_and_in_order(queue: Queue, start_worker: StartWorker) -> None:
    due: dict[int, float] = {}
    started: dict[int, float] = {}

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        started[data] = time.time()

    await start_worker(queue).ready()
    for number, delay in enumerate([0.3, 0.1, 0.2, 0.15]):
        due[number] = time.time() + delay
        await queue.add("build", number, delay=delay)
    await eventually(lambda: len(started) == 4)
    assert list(started) == [1, 3, 2, 0]
    # The server cuts to whole milliseconds.
    assert all(started[number] >= due[number] - 0.002 for number in due)


async def test_a_delayed_job_does_not_wait_for_the_next_poll(queue: Queue, start_worker: StartWorker) -> None:
    """Neither on an idle worker, nor when an earlier one is added behind a later one."""
    ran: list[str] = []

    @queue.job("build")
    async def build(job: JobContext, data: str) -> None:
        ran.append(data)

    start_worker(queue)
    await queue.add("build", "late", delay=3600)
    await queue.add("build", "first", delay=0.2)
    await eventually(lambda: ran == ["first"], within=4)
    await queue.add("build", "second", delay=0.1)
    await eventually(lambda: ran == ["first", "second"], within=4)


async def test_many_delayed_jobs_that_are_due_together(queue: Queue, start_worker: StartWorker) -> None:
    """More than one promotion of 1,000."""
    ran: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        ran.append(data)

    await queue.add_many("build", range(1_200), delay=0.05)
    start_worker(queue, concurrency=1)
    await eventually(lambda: len(ran) == 1_200)
    assert ran == list(range(1_200))


async def test_waiting_jobs_do_not_keep_delayed_ones_from_their_turn(
    queue: Queue, start_worker: StartWorker
) -> None:
    ran = asyncio.Event()
    numbers = itertools.count()

    @queue.job("busy")
    async def busy(job: JobContext) -> None:
        if next(numbers) < 2_000 and not ran.is_set():
            await queue.add("busy")

    @queue.job("delayed")
    async def delayed(job: JobContext) -> None:
        ran.set()

    await queue.add("delayed", delay=0.05)
    for _ in range(5):
        await queue.add("busy")
    start_worker(queue, concurrency=2)
    async with asyncio.timeout(15):
        await ran.wait()
