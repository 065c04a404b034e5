"""Locks: kept as long as a job runs, and fenced when they are lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker

from corral import Job, JobContext, Queue, Retry, Snooze, Worker
from corral.bullmq.connection import close_shared_clients
from corral.bullmq.keys import QueueKeys
from eventually import eventually

LOCK_SECONDS = 0.3


@pytest.fixture(autouse=True)
def short_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", str(LOCK_SECONDS))
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "0.2")


async def ended(job: Job) -> bool:
    return (await job.refresh()).status in ("completed", "failed")


# Kept


async def test_a_lock_is_kept_as_long_as_its_job_runs(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    gate = asyncio.Event()
    runs = 0

    @queue.job("build")
    async def build(job: JobContext) -> None:
        nonlocal runs
        runs += 1
        await gate.wait()

    start_worker(queue, name="first")
    start_worker(queue, name="second")
    job = await queue.add("build")
    lock = f"{queue.keys().job(job.id)}:lock"
    await eventually(lambda: redis.exists(lock))
    token = await redis.get(lock)
    # Three lock times, told by a key of Redis itself; the lock must be there at every look.
    await redis.set("three lock times", 1, px=round(3_000 * LOCK_SECONDS))

    async def over() -> bool:
        assert await redis.get(lock) == token
        return not await redis.exists("three lock times")

    await eventually(over)
    gate.set()
    await eventually(lambda: ended(job))
    assert (job.status, runs) == ("completed", 1)
    assert await redis.exists(lock) == 0
    assert await redis.scard(queue.keys().stalled) == 0


@contextmanager
def worker_elsewhere(keys: QueueKeys, url: str, name: str) -> Iterator[list[str]]:
    """Another worker of the same queue, in a thread with a loop of its own. Yields the ids it ran."""
    queue = Queue(keys.name, redis_url=url, retry=Retry(attempts=1))
    ran: list[str] = []

    @queue.job("build")
    async def build(job: JobContext, data: Any) -> None:
        ran.append(job.id)

    worker = Worker(queue, name=name)

    async def run() -> None:
        try:
            await worker.run()
        finally:
            await close_shared_clients()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        yield ran
    finally:
        worker.stop()
        # `stop` sets an event of another loop; the loop looks when it next wakes, at the latest for a timer.
        thread.join(20)
        assert not thread.is_alive()


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def compute(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1_000))


@pytest.mark.parametrize("block", [sleep, compute], ids=["blocked", "computing"])
async def test_a_handler_that_blocks_the_loop_keeps_its_lock(
    queue: Queue,
    start_worker: StartWorker,
    redis_url: str,
    block: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While another worker sweeps, and takes whatever it can get."""
    # Three threads share an interpreter, beside other tests: that must not cost the lock by itself.
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "1")
    runs: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> list[str]:
        runs.append(data)
        with worker_elsewhere(queue.keys(), redis_url, "vulture") as ran_elsewhere:
            block(3)
            for _ in range(20):  # the other needs its turns on a busy machine
                if not ran_elsewhere:
                    block(1)
        return ran_elsewhere

    first, second = await queue.add_many("build", [1, 2])
    start_worker(queue, concurrency=1)
    assert await first.result(timeout=60) == [second.id]
    assert runs == [1]


async def test_a_job_gets_its_lock_when_it_has_run_for_a_moment(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "30")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "30")
    queue = make_queue()
    keys = queue.keys()
    seen: list[bool] = []
    gate = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext, data: str) -> None:
        lock = f"{keys.job(job.id)}:lock"
        seen.append(bool(await redis.exists(lock)))
        if data == "long":
            await eventually(lambda: redis.exists(lock))
            assert await redis.pttl(lock) > 20_000
            await job.checkpoint({"held": True})
            await gate.wait()

    start_worker(queue)
    short = await queue.add("build", "short")
    await short.result(timeout=15)
    job = await queue.add("build", "long")
    await eventually(lambda: redis.hexists(keys.job(job.id), "corral:checkpoint"))
    gate.set()
    await job.result(timeout=15)
    assert seen == [False, False]
    assert not [key async for key in redis.scan_iter(f"{keys.base}*:lock")]


# Fenced

ENDS: dict[str, Callable[[], Any]] = {
    "completes": lambda: "mine",
    "fails": lambda: 1 / 0,
    "snoozes": lambda: _raise(Snooze(60)),
}


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("loss", ["stolen", "expired", "fetched elsewhere", "swept"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_worker_that_lost_its_lock_cannot_write_the_end(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis, loss: str, end: str, attempts: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "30")
    # Where sweeps come sooner than locks run out, a job is locked when it is fetched; else later, if at all.
    has_lock = loss in ("stolen", "expired")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "20" if has_lock else "30")
    queue = make_queue(retry=Retry(attempts=attempts, backoff="fixed", delay=0))
    keys = queue.keys()

    @queue.job("build")
    async def build(job: JobContext) -> Any:
        lock = f"{keys.job(job.id)}:lock"
        assert await redis.exists(lock) == has_lock
        if loss == "stolen":
            await redis.set(lock, "another's:1")
        elif loss == "expired":
            await redis.delete(lock)
        elif loss == "fetched elsewhere":
            await redis.hset(keys.job(job.id), mapping={"processedOn": "1750000000000", "ats": 2})
        else:
            await redis.lmove(keys.active, keys.wait, "RIGHT", "RIGHT")
            running.worker.stop()  # it would fetch the job again
        return ENDS[end]()

    running = await start_worker(queue).ready()
    (feed,) = running.feeds
    job = await queue.add("build")
    await eventually(lambda: feed.state.lost == 1)
    stored = await redis.hgetall(keys.job(job.id))
    assert not {"finishedOn", "returnvalue", "failedReason", "atm", "stacktrace"} & stored.keys()
    place = keys.wait if loss == "swept" else keys.active  # where its new owner has it
    assert await redis.lrange(place, 0, -1) == [job.id]
    others = {keys.completed, keys.failed, keys.delayed, keys.wait, keys.active} - {place}
    assert await redis.exists(*others) == 0
    if loss == "stolen":
        assert await redis.get(f"{keys.job(job.id)}:lock") == "another's:1"
    events = [e["event"] for _, e in await redis.xrange(keys.events)]
    assert not {"completed", "failed", "delayed", "retries-exhausted"} & set(events)


async def test_a_stolen_job_is_stopped_and_may_not_checkpoint(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    keys = queue.keys()
    stopped = asyncio.Event()
    outcome: list[str] = []

    @queue.job("build")
    async def build(job: JobContext) -> None:
        await redis.set(f"{keys.job(job.id)}:lock", "another's:1")
        try:
            await job.checkpoint({"a": 1})
        except Exception as error:
            outcome.append(type(error).__name__)
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    running = await start_worker(queue).ready()
    await queue.add("build")
    async with asyncio.timeout(15):
        await stopped.wait()  # by the keeper's next round
    assert outcome == ["LockLost"]
    (feed,) = running.feeds
    await eventually(lambda: feed.locks.held == {} and feed.running == 0)
    # The slot serves on.
    again = await queue.add("build")
    await eventually(lambda: redis.exists(f"{keys.job(again.id)}:lock"))


@pytest.mark.parametrize("owner", ["itself", "another"])
async def test_a_job_that_was_lost_and_is_run_twice_ends_once(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis, owner: str
) -> None:
    """All locks of a worker run out (its host was frozen, say), and it wakes while the jobs run anew."""
    queue = make_queue(retry=Retry(attempts=5, backoff="fixed", delay=0))
    gate = asyncio.Event()
    runs: list[str] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> int:
        runs.append(job.id)
        await gate.wait()
        return data

    frozen = await start_worker(queue, concurrency=20 if owner == "itself" else 10, name="frozen").ready()
    jobs = await queue.add_many("build", range(10))
    await eventually(lambda: len(runs) == 10)
    (keeper,) = frozen.worker._keepers
    tables = keeper._tables.copy()
    keeper._tables.clear()  # its thread is frozen
    if owner == "another":
        start_worker(queue, concurrency=10, name="another")
    await eventually(lambda: len(runs) > 10)
    keeper._tables.extend(tables)
    await eventually(lambda: len(runs) == 20, within=60)  # those that stalled start one after the other
    gate.set()
    for job in jobs:
        assert await job.result(timeout=15) == job.data
    completed = [e["jobId"] for _, e in await redis.xrange(queue.keys().events) if e["event"] == "completed"]
    assert sorted(completed) == sorted(job.id for job in jobs)
    (feed,) = frozen.feeds
    await eventually(lambda: feed.running == 0 and feed.locks.held == {})


async def test_news_of_a_lock_that_was_given_up_does_not_stop_the_job_that_runs_now(
    queue: Queue, start_worker: StartWorker
) -> None:
    """The keeper asked while a job was settled and fetched again: what it lost is the lock of before."""
    gate = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext) -> str:
        await gate.wait()
        return "went on"

    running = await start_worker(queue).ready()
    (feed,) = running.feeds
    job = await queue.add("build")
    await eventually(lambda: feed.locks.held)
    feed._locks_lost({job.id: "the token of before"})
    gate.set()
    assert await job.result(timeout=15) == "went on"
