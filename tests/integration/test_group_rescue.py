"""Groups and locks under load and after deaths: places are neither lost nor given away twice."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import GroupLimits, Job, JobContext, Queue, RateLimit, Retry, Snooze
from corral.bullmq import settlement as wire
from corral.bullmq.consumer import Consumer
from corral.bullmq.keys import GroupKeys
from corral.groups import wire_limits
from corral.policy import Keep
from eventually import eventually


@pytest.fixture(autouse=True)
def short_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "5")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "0.2")


def consumer_of(queue: Queue, lock_seconds: float = 60.0) -> Consumer:
    """A worker that does nothing by itself."""
    client: Any = queue.client()
    return Consumer(
        client,
        client,
        queue.keys(),
        worker="by hand",
        lock_seconds=lock_seconds,
        rate_limit=None,
        group_limits=wire_limits(queue.group_limits),
        feed="by hand",
    )


async def fetch(consumer: Consumer, token: str, slots: int = 10) -> list[str]:
    """The token names the record as well."""
    step = await consumer.step(token, slots, [], record=token)
    return [values[0] for values in step.jobs]


async def parked(job: Job, queue: Queue, redis: Redis) -> bool:
    return bool(await redis.zscore(queue.keys().waiting_children, job.id) is not None)


# Locks


async def test_two_jobs_with_one_lock_never_run_together(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    """Under load, with retries, snoozes and two workers; overlaps are counted in Redis."""
    queue = make_queue(retry=Retry(attempts=3, delays=(0, 0.01)))
    dice = random.Random(7)
    done = 0

    @queue.job("build")
    async def build(job: JobContext, data: str) -> None:
        nonlocal done
        if await redis.incr(f"inside:{data}") > 1:
            await redis.incr("overlaps")
        await asyncio.sleep(dice.choice([0, 0, 0.001, 0.005]))
        await redis.decr(f"inside:{data}")
        if job.attempt == 1 and dice.random() < 0.2:
            raise ValueError("again")
        if dice.random() < 0.1:
            raise Snooze(0.01)
        done += 1

    for _ in range(30):
        for key in range(10):
            await queue.add("build", f"user-{key}", lock=f"user-{key}")
    for name in ("first", "second"):
        await start_worker(queue, concurrency=20, name=name).ready()
    await eventually(lambda: done == 300, within=40)
    assert await redis.get("overlaps") is None
    # Retries and snoozes that were not due when the last of the others ended are through as well.
    assert (await queue.counts())["failed"] == 0


async def test_different_locks_and_groups_do_not_meet(queue: Queue) -> None:
    both = asyncio.Barrier(3)

    @queue.job("build")
    async def build(job: JobContext) -> None:
        async with asyncio.timeout(10):
            await both.wait()

    await queue.add("build", lock="a")
    await queue.add("build", lock="b")
    await queue.add("build", group="a")
    await drain(queue)
    assert (await queue.counts())["completed"] == 3


# Deaths


async def test_a_stalled_job_keeps_its_place_until_it_runs_again(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(groups=GroupLimits(concurrency=1))
    first, second = await queue.add_many("build", [1, 2], group="a")
    dead, alive = consumer_of(queue, 0.01), consumer_of(queue)
    assert await fetch(dead, "dead") == [first.id]
    assert await fetch(alive, "alive") == []

    async def rescued() -> bool:
        await redis.delete(queue.keys().stalled_check)
        return await alive.sweep_stalled(10, 60, 1) == [first.id]

    await eventually(rescued)
    assert (await queue.groups.counts("a")).active == 1
    assert await fetch(alive, "alive") == [first.id]
    assert (await queue.groups.counts("a")).active == 1
    # The dead worker comes back: it is fenced, and its word frees no place.
    step = await dead.step("", 0, [wire.completed(first.id, "dead", "1", Keep())])
    assert step.problems == [(first.id, wire.LOCK_TAKEN)]
    assert await fetch(alive, "alive") == []
    await alive.step("", 0, [wire.completed(first.id, "alive", "1", Keep())])
    assert await fetch(alive, "alive") == [second.id]


async def test_a_stalled_job_of_a_paused_group_is_parked(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue()
    job = await queue.add("build", 1, group="a")
    alive = consumer_of(queue)
    await fetch(consumer_of(queue, 0.01), "dead")
    await queue.groups.pause("a")

    async def rescued() -> bool:
        await redis.delete(queue.keys().stalled_check)
        return await alive.sweep_stalled(10, 60, 1) == [job.id]

    await eventually(rescued)
    assert await fetch(alive, "alive") == []
    assert await parked(job, queue, redis)
    assert (await queue.groups.counts("a")).active == 0
    await queue.groups.resume("a")
    assert await fetch(alive, "alive") == [job.id]


async def test_a_fetch_whose_answer_was_lost_holds_no_place(make_queue: MakeQueue) -> None:
    queue = make_queue(groups=GroupLimits(concurrency=1))
    first, _ = await queue.add_many("build", [1, 2], group="a")
    consumer = consumer_of(queue)
    await fetch(consumer, "lost")
    assert await consumer.recover([("lost", "lost")]) == [first.id]
    assert await fetch(consumer, "next") == [first.id]
    assert (await queue.groups.counts("a")).active == 1


async def test_a_job_that_kept_its_place_does_not_pay_its_rate_twice(make_queue: MakeQueue) -> None:
    queue = make_queue(groups=GroupLimits(rate_limit=RateLimit(1, per=3600)))
    first, second = await queue.add_many("build", [1, 2], group="a")
    consumer = consumer_of(queue)
    assert await fetch(consumer, "lost") == [first.id]
    await consumer.recover([("lost", "lost")])
    assert await fetch(consumer, "next") == [first.id]
    assert await fetch(consumer, "more") == []
    await queue.groups.set_limits("a", GroupLimits(rate_limit=RateLimit(2, per=3600)))
    assert await fetch(consumer, "more") == [second.id]


async def test_the_sweep_frees_places_of_jobs_that_no_longer_run(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    """As after a Redis that was restored from an older copy, or a stock client that settled the job."""
    queue = make_queue(groups=GroupLimits(concurrency=1))
    runs: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        runs.append(data)

    await redis.sadd(GroupKeys(queue.keys()).active("a"), "long gone")
    await redis.sadd(GroupKeys(queue.keys()).all, "a")
    await queue.add("build", 1, group="a")
    await start_worker(queue).ready()
    await eventually(lambda: runs == [1])


async def test_a_lost_turn_and_a_lost_flag_are_found_again(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    runs: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        runs.append(data)

    await queue.add("build", 1, group="a")
    await redis.delete(GroupKeys(queue.keys()).ready, queue.keys().meta)
    await start_worker(queue).ready()
    await eventually(lambda: runs == [1])


async def test_a_group_is_asked_for_jobs_that_a_stock_client_retried(queue: Queue, redis: Redis) -> None:
    """BullMQ's retry puts a failed job into `wait`, which knows no groups."""
    await queue.groups.pause("a")
    job = await queue.add("build", 1, group="a")
    keys = queue.keys()
    await redis.zrem(GroupKeys(keys).jobs("a"), job.id)
    await redis.zrem(keys.waiting_children, job.id)
    await redis.lpush(keys.wait, job.id)
    consumer = consumer_of(queue)
    assert await fetch(consumer, "t") == []
    assert await parked(job, queue, redis)


async def test_a_place_that_is_not_taken_at_once_leaves_a_marker(make_queue: MakeQueue, redis: Redis) -> None:
    """Another worker may sleep that could take it."""
    queue = make_queue(groups=GroupLimits(concurrency=1))
    first, _ = await queue.add_many("build", [1, 2], group="a")
    consumer = consumer_of(queue)
    await fetch(consumer, "t")
    await redis.delete(queue.keys().marker)
    await consumer.step("", 0, [wire.completed(first.id, "t", "1", Keep())])
    assert await redis.zscore(queue.keys().marker, "0") == 0


async def test_a_worker_is_told_when_to_look_again(make_queue: MakeQueue) -> None:
    """When the first group opens, or a delayed job is due, whichever comes first; never at once."""
    queue = make_queue(groups=GroupLimits(rate_limit=RateLimit(1, per=3600)))
    await queue.add_many("build", [1, 2], group="a")
    consumer = consumer_of(queue)
    await fetch(consumer, "t")
    assert 3_500_000 < (await consumer.step("t", 1, [])).rate_ttl_ms <= 3_600_000
    await queue.add("build", 3, delay=1800)
    assert 1_700_000 < (await consumer.step("t", 1, [])).rate_ttl_ms <= 1_800_001


async def test_an_id_that_was_removed_and_added_to_another_group_waits_there(
    queue: Queue, redis: Redis
) -> None:
    """BullMQ's remove leaves the id in the line of its old group, which must not start it."""
    await queue.add("build", 1, group="old", job_id="again")
    await redis.delete(queue.keys().job("again"))
    await redis.zrem(queue.keys().waiting_children, "again")
    await queue.groups.pause("new")
    job = await queue.add("build", 1, group="new", job_id="again")
    consumer = consumer_of(queue)
    assert await fetch(consumer, "t") == []
    await queue.groups.resume("new")
    assert await fetch(consumer, "t") == [job.id]
    assert (await queue.groups.counts("new")).active == 1


async def test_a_job_that_takes_the_official_scripts_frees_its_place(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    """A deduplication id, say, is BullMQ's to let go of."""
    queue = make_queue(groups=GroupLimits(concurrency=1))
    runs: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        runs.append(data)

    first, _ = await queue.add_many("build", [1, 2], group="a")
    await redis.hset(queue.keys().job(first.id), "deid", "d-1")
    await start_worker(queue).ready()
    await eventually(lambda: runs == [1, 2])
