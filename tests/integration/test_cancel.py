"""Cancelling: in every state, from other processes, with and without its message, and what callers see."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import msgspec
import process_jobs
import pytest
from process_jobs import declare
from running_worker import MakeQueue, Redis, StartWorker, drain
from test_processes import gone

from corral import Cancelled, JobCancelled, JobContext, JobFailed, Queue, Retry, ThreadJobContext
from corral.bullmq.cancel import FIELD
from corral.bullmq.scripts import official
from corral.errors import CannotCancel, JobNotFound, RedisUnavailable
from corral.job import Job
from eventually import eventually

TRIES = Retry(attempts=5, backoff="fixed", delay=0)


class Endless:
    """A handler that waits until it is cancelled, and counts."""

    def __init__(self, queue: Queue) -> None:
        self.starts = self.cancellations = 0
        queue.job("endless")(self.run)

    async def run(self, job: JobContext) -> None:
        self.starts += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancellations += 1
            raise


async def ended(job: Job) -> Job:
    await eventually(lambda: _is_over(job))
    return job


async def _is_over(job: Job) -> bool:
    return (await job.refresh()).status in ("completed", "failed")


# Before it runs


@pytest.mark.parametrize(
    ("state", "options"),
    [("waiting", {}), ("waiting", {"priority": 5}), ("delayed", {"delay": 100})],
    ids=["waiting", "prioritized", "delayed"],
)
async def test_a_job_that_has_not_started_is_removed(
    state: str, options: dict[str, Any], queue: Queue, redis: Redis
) -> None:
    job = await queue.add("endless", **options)
    assert (await job.refresh()).status == state
    assert await job.cancel("changed my mind") is Cancelled.REMOVED
    assert await queue.get(job.id) is None
    assert sum((await queue.counts()).values()) == 0
    assert await redis.keys(f"bull:{queue.name}:{job.id}*") == []
    last = (await redis.xrevrange(f"bull:{queue.name}:events", count=1))[0][1]
    assert (last["event"], last["jobId"]) == ("removed", job.id)


async def test_who_waits_for_a_removed_job_is_told(queue: Queue) -> None:
    job = await queue.add("endless")
    waits = asyncio.create_task(job.result(timeout=20))
    await eventually(lambda: queue._bind().results._waiting)
    await queue.cancel(job.id)
    with pytest.raises(JobCancelled, match="removed before it ran"):
        await waits
    with pytest.raises(JobCancelled):  # who asks later as well, as long as the events tell
        await job.result(timeout=20)


async def test_a_finished_job_stays_as_it_is(queue: Queue) -> None:
    @queue.job("quick")
    async def quick(job: JobContext, data: bool) -> int:
        if data:
            raise ValueError("no")
        return 7

    fine, bad = await queue.add("quick", False), await queue.add("quick", True, retry=Retry(attempts=1))
    await drain(queue)
    assert await fine.cancel() is Cancelled.FINISHED
    assert await bad.cancel() is Cancelled.FINISHED
    assert await fine.result(timeout=5) == 7
    assert not (await bad.refresh()).cancelled
    with pytest.raises(JobFailed, match="no") as failure:
        await bad.result(timeout=5)
    assert not isinstance(failure.value, JobCancelled)


@pytest.mark.parametrize("job_id", ["404", "wait", "meta", "events"])
async def test_what_is_no_job_is_not_found(job_id: str, queue: Queue) -> None:
    await queue.add("endless")
    with pytest.raises(JobNotFound):
        await queue.cancel(job_id)
    assert (await queue.counts())["waiting"] == 1


async def test_a_parent_goes_with_its_children_and_a_child_frees_its_parent(
    queue: Queue, redis: Redis
) -> None:
    base = f"bull:{queue.name}:"
    parent, child, other = [await queue.add("endless") for _ in range(3)]

    async def join(parent: Job, *children: Job) -> None:
        """What addParentJob and the children's own adds leave."""
        await redis.lrem(base + "wait", 1, parent.id)
        await redis.zadd(base + "waiting-children", {parent.id: 1})
        for each in children:
            await redis.sadd(f"{base}{parent.id}:dependencies", base + each.id)
            await redis.hset(base + each.id, "parentKey", base + parent.id)

    await join(parent, child, other)
    assert await child.cancel() is Cancelled.REMOVED
    assert (await parent.refresh()).status == "waiting-children"
    assert await other.cancel() is Cancelled.REMOVED
    assert (await parent.refresh()).status == "waiting"

    again = await queue.add("endless")
    await join(parent, again)
    assert await parent.cancel() is Cancelled.REMOVED
    assert await queue.get(again.id) is None
    assert sum((await queue.counts()).values()) == 0


async def test_a_parent_of_a_running_child(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    queue = make_queue(retry=TRIES)
    base = f"bull:{queue.name}:"
    parent, child = await queue.add("later"), await queue.add("endless")
    await redis.lrem(base + "wait", 1, parent.id)
    await redis.zadd(base + "waiting-children", {parent.id: 1})
    await redis.sadd(f"{base}{parent.id}:dependencies", base + child.id)
    await redis.hset(
        base + child.id,
        mapping={
            "parentKey": base + parent.id,
            "parent": msgspec.json.encode({"id": parent.id, "queueKey": base[:-1], "fpof": True}),
        },
    )
    handler = Endless(queue)
    start_worker(queue)
    await eventually(lambda: handler.starts)
    with pytest.raises(CannotCancel, match="child of job"):
        await parent.cancel()
    # The child's end is its parent's business as any failure is: here the parent fails with it.
    assert await child.cancel("enough") is Cancelled.SIGNALLED
    assert (await ended(child)).cancelled
    assert "failed" in str((await ended(parent)).failed_reason)


async def test_the_next_run_of_a_schedule(queue: Queue, redis: Redis) -> None:
    base = f"bull:{queue.name}:"
    job_id = "repeat:nightly:4102444800000"
    await redis.zadd(base + "repeat", {"nightly": 4102444800000})
    await redis.zadd(base + "delayed", {job_id: 4102444800000 * 4096})
    await redis.hset(
        base + job_id,
        mapping={"name": "x", "data": "{}", "opts": "{}", "timestamp": 1, "delay": 1, "rjk": "nightly"},
    )
    with pytest.raises(CannotCancel, match="schedule"):
        await queue.cancel(job_id)
    assert await redis.exists(base + job_id)


# While it runs


async def test_async_work_is_cancelled_on_whichever_worker_has_it(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    queue = make_queue(retry=TRIES)
    handler = Endless(queue)
    other = make_queue("other")
    bystander = Endless(other)
    for name in ("one", "two", "three"):
        start_worker(queue, other, name=name)
    jobs = await queue.add_many("endless", [None] * 6)
    stays = await other.add("endless", job_id="stays")
    await eventually(lambda: handler.starts == 6 and bystander.starts == 1)
    waits = asyncio.create_task(jobs[0].result(timeout=20))
    assert await queue.cancel(jobs[0].id, "customer\n left") == "signalled"
    with pytest.raises(
        JobCancelled, match=f"Job {jobs[0].id} in {queue.name!r} was cancelled: customer left"
    ):
        await waits
    assert [await job.cancel() for job in jobs[1:]] == [Cancelled.SIGNALLED] * 5
    for job in jobs:
        await ended(job)
        assert (job.status, job.cancelled, job.attempts_made) == ("failed", True, 1)
    assert jobs[0].failed_reason == "Cancelled: customer left"
    assert jobs[1].failed_reason == "Cancelled: no reason given"
    assert handler.starts == handler.cancellations == 6
    assert (await stays.refresh()).status == "active"
    with pytest.raises(JobCancelled):
        await jobs[0].result(timeout=5)
    names = [c["name"] for c in await redis.client_list(_type="pubsub")]
    assert sorted(names) == [f"corral:control:{name}" for name in ("one", "three", "two")]  # one a worker
    await stays.cancel()


async def test_a_thread_is_told_and_goes_on(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=TRIES)
    told, released = threading.Event(), threading.Event()
    started = threading.Event()

    @queue.job("work")
    def work(job: ThreadJobContext) -> None:
        started.set()
        while not job.cancelled:
            released.wait(0.01)
        told.set()

    start_worker(queue)
    job = await queue.add("work")
    await eventually(started.is_set)
    await job.cancel("stop it")
    await ended(job)
    assert job.failed_reason == "Cancelled: stop it"
    assert "cannot be stopped" in job.stacktrace[-1]
    await eventually(told.is_set)


async def test_a_process_is_killed(make_queue: MakeQueue, start_worker: StartWorker, tmp_path: Path) -> None:
    queue = make_queue(retry=TRIES)
    declare(queue, process_jobs.busy)
    start_worker(queue, processes=1)
    job = await queue.add("busy", str(tmp_path / "pids"))
    await eventually((tmp_path / "pids").exists)
    await job.cancel("too slow")
    await ended(job)
    assert (job.failed_reason, job.attempts_made) == ("Cancelled: too slow", 1)
    for pid in (tmp_path / "pids").read_text().split():
        await eventually(lambda pid=pid: gone(int(pid)))


async def test_a_process_job_that_has_no_process_yet(
    make_queue: MakeQueue, start_worker: StartWorker, tmp_path: Path
) -> None:
    """While its child starts, and while it waits for the only one."""
    queue = make_queue(retry=TRIES)
    declare(queue, process_jobs.wait_for_file, process_jobs.pid)
    other = make_queue(retry=TRIES)
    declare(other, process_jobs.pid)
    running = await start_worker(queue, other, processes=1).ready()
    pool, feeds = running.worker._pool, running.worker._feeds
    first = await queue.add("wait_for_file", str(tmp_path / "go"))
    await eventually(feeds[0]._slots.running)
    await first.cancel("at once")
    assert (await ended(first)).failed_reason == "Cancelled: at once"

    second = await queue.add("wait_for_file", str(tmp_path / "go"))
    await eventually(lambda: pool.busy)
    waits = await other.add("pid")
    await eventually(feeds[1]._slots.running)
    await waits.cancel("no hurry")
    assert (await ended(waits)).failed_reason == "Cancelled: no hurry"
    (tmp_path / "go").write_text("gone")
    assert await second.result(timeout=20) == "gone"
    assert await (await other.add("pid")).result(timeout=20) in pool.pids()


async def test_a_handler_that_finishes_all_the_same_completes(
    make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    queue = make_queue(retry=TRIES)
    started = asyncio.Event()

    @queue.job("careful")
    async def careful(job: JobContext) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await job.log("cleaned up")
        return "half of it"

    start_worker(queue)
    job = await queue.add("careful")
    await started.wait()
    await job.cancel()
    assert await job.result(timeout=20) == "half of it"
    await job.refresh()
    assert (job.status, job.cancelled) == ("completed", False)


async def test_an_error_of_its_own_does_not_bring_it_back(
    make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    queue = make_queue(retry=TRIES)
    starts = 0

    @queue.job("clumsy")
    async def clumsy(job: JobContext) -> None:
        nonlocal starts
        starts += 1
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while cleaning up")

    start_worker(queue)
    job = await queue.add("clumsy")
    await eventually(lambda: starts)
    await job.cancel("enough")
    await ended(job)
    assert (job.failed_reason, starts) == ("Cancelled: enough", 1)


# When the message is lost


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
