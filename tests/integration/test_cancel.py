"""Cancelling in every state, from other processes, and what callers see of it."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import process_jobs
import pytest
from dead_processes import gone
from endless_jobs import Endless, ended
from process_jobs import declare
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Cancelled, JobCancelled, JobContext, JobFailed, Queue, Retry, ThreadJobContext
from corral.errors import CannotCancel, JobNotFound
from corral.job import Job
from eventually import eventually

TRIES = Retry(attempts=5, backoff="fixed", delay=0)


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
        await eventually(partial(gone, int(pid)))


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
