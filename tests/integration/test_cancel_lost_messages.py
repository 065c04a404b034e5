"""Cancelling when its message is lost, late or early: the mark in the job is the truth."""

from __future__ import annotations

import asyncio

import pytest
from endless_jobs import Endless, ended
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Cancelled, JobCancelled, JobContext, Queue, Retry
from corral.bullmq.cancel import FIELD
from corral.bullmq.scripts import official
from corral.errors import RedisUnavailable
from corral.job import Job
from eventually import eventually

TRIES = Retry(attempts=5, backoff="fixed", delay=0)


async def mark(redis: Redis, queue: Queue, job: Job, reason: str) -> None:
    """What cancel.lua leaves; the message went nowhere."""
    await redis.hset(f"bull:{queue.name}:{job.id}", FIELD, f"?{reason}")


async def test_a_cut_connection_comes_back_and_looks(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    queue = make_queue(retry=TRIES)
    handler = Endless(queue)
    start_worker(queue, name="listener")
    silent, told = await queue.add_many("endless", [None] * 2)
    await eventually(lambda: handler.starts == 2)
    await eventually(lambda: redis.client_list(_type="pubsub"))
    await mark(redis, queue, silent, "nobody heard")
    assert await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub") == 1
    assert (await ended(silent)).failed_reason == "Cancelled: nobody heard"
    await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await told.cancel("at the very moment")
    assert (await ended(told)).failed_reason == "Cancelled: at the very moment"


async def test_a_server_that_closes_every_connection(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    queue = make_queue(retry=TRIES)
    handler = Endless(queue)
    start_worker(queue)
    job = await queue.add("endless")
    await eventually(lambda: handler.starts)
    for kind in ("pubsub", "normal"):
        await redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
    with_retries = False
    while not with_retries:
        try:
            await job.cancel("after the storm")
            with_retries = True
        except RedisUnavailable:  # a connection of the pool that was cut
            continue
    assert (await ended(job)).failed_reason == "Cancelled: after the storm"


@pytest.mark.parametrize("where", ["wait", "prioritized", "stalled"])
async def test_whoever_has_it_next_refuses_it(where: str, make_queue: MakeQueue, redis: Redis) -> None:
    """It went back (a retry, a restart, a dead worker) before its worker heard of it."""
    queue = make_queue(retry=TRIES)
    handler = Endless(queue)
    job = await queue.add("endless", priority=3 if where == "prioritized" else 0)
    await mark(redis, queue, job, "long ago")
    await redis.hset(f"bull:{queue.name}:{job.id}", mapping={"ats": 1, "atm": 1, "stc": 1})
    await drain(queue)
    await job.refresh()
    assert (job.status, job.failed_reason, job.cancelled) == ("failed", "Cancelled: long ago", True)
    assert handler.starts == 0


async def test_a_job_that_goes_to_sleep_as_it_is_cancelled(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    """Else its end would have to wait for the retry, the snooze or the signal."""
    queue = make_queue(retry=Retry(attempts=5, backoff="fixed", delay=1000))
    starts = 0

    @queue.job("sleepy")
    async def sleepy(job: JobContext, data: str) -> None:
        nonlocal starts
        starts += 1
        await mark(redis, queue, Job(queue, job.id, "", b""), "good night")
        if data == "wait":
            await job.wait_for("nothing", timeout=1000)
        raise ValueError("try again in a quarter of an hour")

    start_worker(queue)
    for how in ("wait", "raise"):
        job = await queue.add("sleepy", how)
        assert (await ended(job)).failed_reason == "Cancelled: good night"
    assert starts == 2


async def test_a_message_faster_than_its_job(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    """The worker hears of the cancellation before it knows that it has the job."""
    queue = make_queue(retry=TRIES)
    handler = Endless(queue)
    running = await start_worker(queue).ready()
    feed = running.worker._feeds[0]
    job = await queue.add("endless")
    await eventually(lambda: handler.starts)
    token = feed.locks.held.pop(job.id)
    await eventually(lambda: redis.client_list(_type="pubsub"))
    await job.cancel("early")
    heard = await redis.pubsub_numsub("corral:bull:control")
    assert heard[0][1] == 1
    assert (await job.refresh()).status == "active"
    feed.locks.held[job.id] = token
    assert (await ended(job)).failed_reason == "Cancelled: early"


async def test_a_cancelled_job_can_be_retried_by_hand(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    queue = make_queue(retry=TRIES)
    handler = Endless(queue)
    start_worker(queue)
    job = await queue.add("endless")
    await eventually(lambda: handler.starts == 1)
    await job.cancel("by mistake")
    await ended(job)
    keys = queue.keys()
    await official("reprocessJob")(
        queue.client(),
        [keys.job(job.id), keys.events, keys.failed, keys.wait, keys.meta, keys.active, keys.marker,
         keys.prioritized, keys.pc],
        job.id, "LPUSH", "failedReason", "failed", "0", "0",
    )  # fmt: skip
    await eventually(lambda: handler.starts == 2)
    await job.refresh()
    assert (job.status, job.cancelled) == ("active", False)
    await job.cancel("again")
    assert (await ended(job)).failed_reason == "Cancelled: again"


async def test_removed_when_it_fails(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=TRIES)
    handler = Endless(queue)
    start_worker(queue)
    job = await queue.add("endless", remove_on_fail=True)
    await eventually(lambda: handler.starts)
    await job.cancel("leave no trace")
    with pytest.raises(JobCancelled, match="leave no trace"):
        await job.result(timeout=20)
    assert await queue.get(job.id) is None


async def test_a_burst(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=TRIES)
    handler = Endless(queue)
    for _ in range(2):
        start_worker(queue, concurrency=60)
    jobs = await queue.add_many("endless", [None] * 150)
    await eventually(lambda: handler.starts == 120)
    met = await asyncio.gather(*(job.cancel() for job in jobs))
    assert set(met) <= {Cancelled.SIGNALLED, Cancelled.REMOVED}
    await eventually(lambda: _nothing_left(queue))
    counts = await queue.counts()
    assert counts["failed"] == met.count(Cancelled.SIGNALLED)
    assert counts["failed"] + met.count(Cancelled.REMOVED) == 150


async def _nothing_left(queue: Queue) -> bool:
    counts = await queue.counts()
    return counts["active"] == counts["waiting"] == 0
