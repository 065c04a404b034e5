"""A network that loses an answer, is slow, or cuts: seen by a producer and a worker behind a proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from running_worker import Redis, RunningWorker

from corral import Cancelled, Job, JobCancelled, JobContext, JobFailed, Queue, Retry, Worker
from corral.bullmq.connection import close_shared_clients
from corral.errors import RedisUnavailable
from eventually import eventually
from fault_proxy import FaultProxy

#: Locks that outlast every test here: what a lost answer leaves must be found without them running out.
LONG = "60"

#: Each way.
SLOW_SECONDS = 0.2


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[FaultProxy]:
    proxy = FaultProxy(int(redis_url.rsplit(":", 1)[1])).start()
    yield proxy
    proxy.heal()
    await close_shared_clients()
    await asyncio.to_thread(proxy.stop)


@pytest.fixture
async def queue(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Queue]:
    """A queue behind the proxy."""
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", LONG)
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", LONG)
    queue = Queue("orders", redis_url=proxy.url, prefix="bull", retry=Retry(attempts=3, delay=0))
    yield queue
    await queue.close()


@pytest.fixture
async def working(queue: Queue) -> AsyncIterator[list[RunningWorker]]:
    """Put the worker in here that is to be stopped at the end."""
    running: list[RunningWorker] = []
    yield running
    for worker in running:
        await worker.stop()


def start(queue: Queue, running: list[RunningWorker]) -> RunningWorker:
    running.append(RunningWorker(Worker(queue, concurrency=10), until_empty=False))
    return running[0]


async def finished(redis: Redis, queue: Queue) -> list[str]:
    """Ids of `completed` events."""
    events = await redis.xrange(queue.keys().events)
    return [fields["jobId"] for _, fields in events if fields["event"] == "completed"]


# Answers that are lost


async def test_an_add_whose_answer_is_lost_is_safe_to_repeat_with_a_key(
    queue: Queue, proxy: FaultProxy, redis: Redis
) -> None:
    await queue.add("build", "first")
    lost = proxy.lose_answer_to(b"order-7")
    with pytest.raises(RedisUnavailable):
        await queue.add("build", "order-7", idempotency_key="7")
    assert lost.is_set()
    assert await redis.llen(queue.keys().wait) == 2  # it is in, and nobody knows
    again = await queue.add("build", "order-7", idempotency_key="7")
    assert again.existed
    assert await redis.llen(queue.keys().wait) == 2


async def test_without_a_key_a_repeated_add_is_a_second_job(
    queue: Queue, proxy: FaultProxy, redis: Redis
) -> None:
    """As docs/engine/failures.md says. Corral itself never repeats an add."""
    await queue.add("build", "first")
    proxy.lose_answer_to(b"order-7")
    with pytest.raises(RedisUnavailable):
        await queue.add("build", "order-7")
    assert await redis.llen(queue.keys().wait) == 2
    await queue.add("build", "order-7")
    assert await redis.llen(queue.keys().wait) == 3


async def test_many_adds_whose_answer_is_lost_are_all_in_or_none(
    queue: Queue, proxy: FaultProxy, redis: Redis
) -> None:
    await queue.add("build", "first")
    lost = proxy.lose_answer_to(b"order-7")
    with pytest.raises(RedisUnavailable):
        await queue.add_many("build", ["order-7"] * 500)
    assert lost.is_set()
    assert await redis.llen(queue.keys().wait) == 501


async def test_a_fetch_whose_answer_is_lost_goes_back_at_once_and_counts_as_nothing(
    queue: Queue, proxy: FaultProxy, redis: Redis, working: list[RunningWorker]
) -> None:
    runs: list[tuple[str, int, Any]] = []

    @queue.job("build")
    async def build(job: JobContext, data: str) -> None:
        runs.append((data, job.attempt, await redis.hget(queue.keys().job(job.id), "stc")))

    await start(queue, working).ready()
    lost = proxy.lose_answer_with(b"fetch-me")
    jobs = await queue.add_many("build", [f"fetch-me {n}" for n in range(5)])
    await eventually(lambda: len(runs) == 5)
    assert lost.is_set()
    assert sorted(runs) == [(f"fetch-me {n}", 1, None) for n in range(5)]
    assert await redis.hget(queue.keys().job(jobs[0].id), "ats") == "1"


async def test_a_settlement_whose_answer_is_lost_is_written_once(
    queue: Queue, proxy: FaultProxy, redis: Redis, working: list[RunningWorker]
) -> None:
    runs: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> str:
        runs.append(data)
        return f"settle-me {data}"

    await start(queue, working).ready()
    lost = proxy.lose_answer_to(b"settle-me")
    jobs = await queue.add_many("build", [1, 2, 3])
    assert [await job.result(timeout=30) for job in jobs] == [f"settle-me {n}" for n in (1, 2, 3)]
    assert lost.is_set()
    await eventually(lambda: working[0].worker.health()["ok"])
    assert sorted(runs) == [1, 2, 3]
    assert sorted(await finished(redis, queue)) == sorted(job.id for job in jobs)
    assert [await redis.hget(queue.keys().job(job.id), "atm") for job in jobs] == ["1"] * 3


@pytest.mark.parametrize("spent", [True, False], ids=["a retry", "a checkpoint and a wait"])
async def test_a_failed_attempt_whose_answer_is_lost_is_counted_once(
    queue: Queue, proxy: FaultProxy, redis: Redis, working: list[RunningWorker], spent: bool
) -> None:
    attempts: list[int] = []

    @queue.job("build")
    async def build(job: JobContext) -> dict[str, Any]:
        attempts.append(job.attempt)
        if spent and len(attempts) == 1:
            raise ValueError("lose-me")
        if not spent:
            await job.wait_for("lose-me", timeout=60)
        return job.checkpoints

    await start(queue, working).ready()
    lost = proxy.lose_answer_to(b"lose-me" if spent else b"corral:wait")
    job = await queue.add("build")
    if not spent:
        await eventually(lost.is_set)
        await eventually(lambda: redis.zcard(queue.keys().delayed))
        proxy.heal()
        await eventually(lambda: working[0].worker.health()["ok"])
        await queue.signal("lose-me", {})
    await job.result(timeout=30)
    assert lost.is_set()
    assert attempts == ([1, 2] if spent else [1, 1])


async def test_a_checkpoint_whose_answer_is_lost_raises_and_is_stored(
    queue: Queue, proxy: FaultProxy, working: list[RunningWorker]
) -> None:
    """The handler is told; its next attempt finds what it wrote."""
    found: list[dict[str, Any]] = []

    @queue.job("build")
    async def build(job: JobContext) -> None:
        found.append(job.checkpoints)
        if not found[-1]:
            await job.checkpoint({"paid": "lose-me"})

    await start(queue, working).ready()
    lost = proxy.lose_answer_to(b"lose-me")
    job = await queue.add("build")
    await job.result(timeout=30)
    assert lost.is_set()
    assert found == [{}, {"paid": "lose-me"}]


async def test_a_cancellation_whose_answer_is_lost_can_be_repeated(
    queue: Queue, proxy: FaultProxy, working: list[RunningWorker]
) -> None:
    started = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext) -> None:
        started.set()
        await asyncio.Event().wait()

    await start(queue, working).ready()
    job = await queue.add("build")
    await eventually(started.is_set)
    lost = proxy.lose_answer_to(b"never mind")
    with pytest.raises(RedisUnavailable):
        await queue.cancel(job.id, "never mind")
    assert lost.is_set()
    assert await queue.cancel(job.id, "never mind") in (Cancelled.SIGNALLED, Cancelled.FINISHED)
    with pytest.raises(JobCancelled, match="never mind"):
        await job.result(timeout=30)


# A slow network


@pytest.fixture(params=["200 ms each way", "64 bytes at a time"])
def slow(request: pytest.FixtureRequest, proxy: FaultProxy) -> None:
    if request.param.startswith("200"):
        proxy.delay = SLOW_SECONDS
    else:
        proxy.trickle = 0.001


@pytest.mark.usefixtures("slow")
async def test_everything_works_over_a_slow_network(queue: Queue, working: list[RunningWorker]) -> None:
    runs: list[tuple[str, Any]] = []
    started = asyncio.Event()

    @queue.job("plain")
    async def plain(job: JobContext, data: int) -> int:
        runs.append(("plain", data))
        return data

    @queue.job("flaky")
    async def flaky(job: JobContext) -> int:
        runs.append(("flaky", job.attempt))
        if job.attempt < 3:
            raise ValueError("not yet")
        return job.attempt

    @queue.job("reporting")
    async def reporting(job: JobContext) -> dict[str, Any]:
        if not job.checkpoints:
            await job.progress(50)
            await job.log("half")
            await job.checkpoint({"half": True})
        return {**job.checkpoints, "signal": await job.wait_for("go", timeout=60)}

    @queue.job("endless")
    async def endless(job: JobContext) -> None:
        started.set()
        await asyncio.Event().wait()

    await start(queue, working).ready()
    doomed = await queue.add("endless")
    reported = await queue.add("reporting")
    delayed = await queue.add("plain", 100, delay=1)
    retried = await queue.add("flaky")
    jobs = await queue.add_many("plain", range(50))
    assert await asyncio.gather(*(job.result(timeout=60) for job in jobs)) == list(range(50))
    assert await retried.result(timeout=60) == 3
    assert await delayed.result(timeout=60) == 100
    await eventually(started.is_set)
    assert await queue.cancel(doomed.id) is Cancelled.SIGNALLED
    with pytest.raises(JobFailed):
        await doomed.result(timeout=60)
    await queue.signal("go", "went")
    assert await reported.result(timeout=60) == {"half": True, "signal": "went"}
    assert (await reported.refresh()).progress == 50
    assert await queue.logs(reported.id) == ["half"]
    # Nothing ran twice for being slow, and the worker never called that an outage.
    assert sorted(runs) == sorted(
        [*(("plain", n) for n in range(50)), ("plain", 100), ("flaky", 1), ("flaky", 2), ("flaky", 3)]
    )
    assert working[0].worker.health()["ok"]


async def test_a_delayed_job_is_not_started_early_over_a_slow_network(
    queue: Queue, proxy: FaultProxy, working: list[RunningWorker], redis: Redis
) -> None:
    """The server's clock decides, whenever its answer arrives."""
    proxy.delay = SLOW_SECONDS

    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    await start(queue, working).ready()
    job = await queue.add("build", delay=1.5)
    await job.result(timeout=30)
    stored = await redis.hgetall(queue.keys().job(job.id))
    assert int(stored["processedOn"]) - int(stored["timestamp"]) >= 1_500


# Connections that are cut


async def test_resets_under_load_lose_and_repeat_nothing(
    queue: Queue, proxy: FaultProxy, redis: Redis, working: list[RunningWorker]
) -> None:
    """Unlike CLIENT KILL, a reset also loses what is under way in both directions."""
    runs: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> int:
        runs.append(data)
        await asyncio.sleep(0.001)
        return data

    direct = Queue("orders", redis_url=f"redis://127.0.0.1:{proxy.target_port}", prefix="bull")
    await direct.add_many("build", range(3_000))
    await start(queue, working).ready()
    resets = 0

    async def reset_until_done() -> bool:
        nonlocal resets
        if resets < 40:
            resets += 1
            await asyncio.to_thread(proxy.reset)
            return False
        counts = await direct.counts()
        return counts["completed"] == 3_000 and not counts["active"]

    await eventually(reset_until_done, within=60)
    assert sorted(runs) == list(range(3_000))
    assert len(await finished(redis, queue)) == len(set(await finished(redis, queue)))
    await direct.close()


async def test_a_worker_that_starts_in_a_silent_network_comes_up_when_it_heals(
    queue: Queue, proxy: FaultProxy, working: list[RunningWorker]
) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> str:
        return "ran"

    direct = Queue("orders", redis_url=f"redis://127.0.0.1:{proxy.target_port}", prefix="bull")
    job: Job = await direct.add("build")
    proxy.drop()
    running = start(queue, working)
    await eventually(lambda: proxy.dropped > 0)  # its first connection is dead, and nobody told it
    assert not running.worker.health()["ok"]
    proxy.heal()
    assert await job.result(timeout=30) == "ran"
    await direct.close()
