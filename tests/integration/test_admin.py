"""`queue.admin` on a real Redis: what an operator does, and what is said when it cannot be done."""

from __future__ import annotations

from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import JobContext, Keep, Queue, RateLimit, Retention, Retry
from corral.bullmq import admin as wire
from corral.errors import (
    BelongsToSchedule,
    InvalidData,
    InvalidInput,
    InvalidOptions,
    JobNotFound,
    WrongState,
)
from eventually import eventually


@pytest.fixture
def work(make_queue: MakeQueue) -> Queue:
    """A queue whose `bad` jobs fail at once and whose `good` ones do not."""
    queue = make_queue(retry=Retry(attempts=1))

    @queue.job("good")
    async def good(job: JobContext, data: int) -> int:
        await job.log("ran")
        return data

    @queue.job("bad")
    async def bad(job: JobContext, data: int) -> None:
        raise ValueError("bad luck")

    return queue


async def state(queue: Queue, job_id: str) -> str | None:
    job = await queue.get(job_id)
    return job.status if job else None


# The queue


async def test_a_paused_queue_starts_nothing_and_goes_on_when_resumed(
    work: Queue, start_worker: StartWorker
) -> None:
    await work.admin.pause()
    assert await work.admin.is_paused()
    await start_worker(work).ready()
    job = await work.add("good", 1)
    later = await work.add("good", 2, delay=0.001)
    # The worker promotes what is due also while paused: so it has looked at the queue.
    await eventually(lambda: _is_promoted(work, later.id))
    assert (await work.counts())["completed"] == 0

    await work.admin.resume()
    assert not await work.admin.is_paused()
    assert [await job.result(timeout=20), await later.result(timeout=20)] == [1, 2]


async def _is_promoted(queue: Queue, job_id: str) -> bool:
    return await state(queue, job_id) == "waiting"


async def test_resume_brings_back_what_a_v5_client_put_aside_however_much(work: Queue, redis: Redis) -> None:
    """7,000 a call is what BullMQ's script moves."""
    old = await work.add_many("good", list(range(15_000)))
    await redis.rename(work.keys().wait, work.keys().paused)
    new = await work.add("good", -1)
    await work.admin.pause()

    await work.admin.resume()
    assert await redis.exists(work.keys().paused) == 0
    assert (await work.counts())["waiting"] == 15_001
    waiting = await redis.lrange(work.keys().wait, 0, -1)
    assert set(waiting) == {job.id for job in (*old, new)}


async def test_meta_tells_what_holds_for_the_queue(work: Queue, redis: Redis) -> None:
    meta = await work.admin.meta()
    assert (meta.paused, meta.concurrency, meta.rate_limit, meta.written_by) == (False, None, None, None)

    await redis.hset(
        work.keys().meta,
        mapping={"paused": 1, "concurrency": 3, "max": 5, "duration": 2_000, "version": "bullmq:6.7.0"},
    )
    await redis.hset(work.keys().meta, "opts.maxLenEvents", 10_000)
    meta = await work.admin.meta()
    assert (meta.paused, meta.concurrency, meta.rate_limit) == (True, 3, RateLimit(5, per=2))
    assert (meta.max_events, meta.written_by) == (10_000, "bullmq:6.7.0")


@pytest.mark.parametrize("delayed", [False, True])
async def test_drain_removes_what_waits_and_nothing_else(work: Queue, redis: Redis, delayed: bool) -> None:
    done = await work.add("good", 0)
    await drain(work)
    await work.add_many("good", list(range(1_200)))
    await work.add_many("good", list(range(3)), priority=2)
    later = await work.add("good", 4, delay=3600)

    assert await work.admin.drain(delayed=delayed) == 1_203 + delayed
    counts = await work.counts()
    assert (counts["waiting"], counts["prioritized"], counts["completed"]) == (0, 0, 1)
    assert counts["delayed"] == (not delayed)
    assert await state(work, done.id) == "completed"
    assert await state(work, later.id) == (None if delayed else "delayed")
    left = {key async for key in redis.scan_iter(f"{work.keys().base}[0-9]*")}
    assert len(left) == (2 if delayed else 3)  # done, its log, later


async def test_drain_leaves_the_next_run_of_a_schedule(work: Queue, redis: Redis) -> None:
    run = await _scheduled(work, redis)
    others = await work.add_many("good", list(range(700)), delay=60)
    assert len(others) == await work.admin.drain(delayed=True)
    assert await state(work, run) == "delayed"


async def test_a_drained_child_lets_go_of_its_parent_and_a_waiting_run_stays(
    work: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "BATCH", 4)
    keys = work.keys()
    run = await _scheduled(work, redis)
    await redis.zrem(keys.delayed, run)
    await redis.rpush(keys.wait, run)  # promoted, and not yet started
    jobs = await work.add_many("good", list(range(10)))
    parent = await _parent_of(work, redis, jobs[3].id)

    assert await work.admin.drain() == 10
    assert sorted(await redis.lrange(keys.wait, 0, -1)) == ["parent", run]
    assert await state(work, parent) == "waiting"
    assert [await work.get(job.id) for job in jobs] == [None] * 10


async def _parent_of(queue: Queue, redis: Redis, child: str) -> str:
    """A job that waits for that one."""
    keys = queue.keys()
    key = keys.job("parent")
    await redis.hset(
        key, mapping={"name": "good", "data": "1", "opts": "{}", "timestamp": 1, "delay": 0, "priority": 0}
    )
    await redis.zadd(keys.waiting_children, {"parent": 1})
    await redis.sadd(f"{key}:dependencies", keys.job(child))
    await redis.hset(keys.job(child), "parentKey", key)
    await redis.hset(keys.job(child), "parent", f'{{"id":"parent","queueKey":"{keys.base[:-1]}"}}')
    return "parent"


async def _scheduled(queue: Queue, redis: Redis) -> str:
    """What BullMQ keeps of a schedule: its next run and when that is."""
    keys = queue.keys()
    due = 4_000_000_000_000
    run = f"repeat:nightly:{due}"
    await redis.zadd(keys.repeat, {"nightly": due})
    await redis.hset(
        keys.job(run),
        mapping={"name": "good", "data": "1", "opts": "{}", "timestamp": 1, "delay": 5, "priority": 0,
                 "rjk": "nightly"},
    )  # fmt: skip
    await redis.zadd(keys.delayed, {run: due * 4096})
    return run


async def test_clean_removes_finished_jobs_of_an_age_with_all_their_keys(work: Queue, redis: Redis) -> None:
    *old, young = await work.add_many("good", list(range(4)))
    await drain(work)
    for number, job in enumerate(old):
        await redis.zadd(work.keys().completed, {job.id: 1_000 + number})

    assert await work.admin.clean("completed", older_than=3600, limit=1) == 1
    assert [await state(work, job.id) for job in old] == [None, "completed", "completed"]
    assert await work.admin.clean("completed", older_than=3600) == 2
    assert await state(work, young.id) == "completed"
    left = {key async for key in redis.scan_iter(f"{work.keys().base}[0-9]*")}
    assert left == {work.keys().job(young.id), work.keys().logs(young.id)}
    assert await work.admin.clean("failed", older_than=0) == 0


@pytest.mark.parametrize("chosen", ["waiting", "prioritized", "delayed"])
async def test_clean_removes_the_old_ones_of_what_waits(
    work: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch, chosen: Any
) -> None:
    monkeypatch.setattr(wire, "BATCH", 3)
    options: Any = {"waiting": {}, "prioritized": {"priority": 3}, "delayed": {"delay": 60}}[chosen]
    old = await work.add_many("good", list(range(10)), **options)
    young = await work.add_many("good", list(range(10)), **options)
    for job in old:
        await redis.hset(work.keys().job(job.id), "timestamp", 1_000)

    assert await work.admin.clean(chosen, older_than=3600, limit=4) == 4
    assert await work.admin.clean(chosen, older_than=3600) == 6
    assert {await state(work, job.id) for job in old} == {None}
    assert None not in {await state(work, job.id) for job in young}


async def test_old_parents_are_cleaned_and_what_is_only_kept_beside_them_is_not(
    work: Queue, redis: Redis
) -> None:
    child, parked = await work.add_many("good", [1, 2])
    keys = work.keys()
    await _parent_of(work, redis, child.id)
    await redis.lrem(keys.wait, 1, parked.id)
    await redis.zadd(keys.waiting_children, {parked.id: -1})

    assert await work.admin.clean("waiting-children") == 1
    assert await redis.zrange(keys.waiting_children, 0, -1) == [parked.id]
    assert await work.get("parent") is None
    assert await work.get(child.id) is None  # a parent takes its waiting children along


async def test_clean_refuses_what_makes_no_sense(work: Queue) -> None:
    for wrong in (
        work.admin.clean("active"),  # type: ignore[arg-type]  # what it is about
        work.admin.clean("failed", older_than=-1),
        work.admin.clean("failed", limit=-1),
        work.admin.retry_all("delayed"),  # type: ignore[arg-type]  # the same
        work.admin.trim_events(-1),
    ):
        with pytest.raises(InvalidInput):
            await wrong


async def test_obliterate_leaves_no_key(work: Queue, redis: Redis) -> None:
    await work.add("good", 1, idempotency_key="once")
    await drain(work)
    await work.add("bad", 1)
    await drain(work)
    await work.add_many("good", list(range(2_500)))
    await work.add("good", 1, delay=60)
    await _scheduled(work, redis)

    await work.admin.obliterate()
    whole_prefix = "corral:bull::"  # who works, and what they wrote last: no queue's
    assert [key async for key in redis.scan_iter("*") if not key.startswith(whole_prefix)] == []


async def test_obliterate_spares_a_queue_with_running_jobs(
    work: Queue, redis: Redis, start_worker: StartWorker
) -> None:
    await redis.lpush(work.keys().active, "7")
    with pytest.raises(WrongState, match="running"):
        await work.admin.obliterate()
    assert not await work.admin.is_paused()

    await work.admin.obliterate(force=True)
    assert await redis.exists(work.keys().active) == 0


async def test_events_can_be_trimmed(work: Queue, redis: Redis) -> None:
    await work.add_many("good", [1, 2, 3])
    before = await redis.xlen(work.keys().events)
    assert await work.admin.trim_events(2) == before - 2
    assert await redis.xlen(work.keys().events) == 2


async def test_orphans_go_and_nothing_else(work: Queue, redis: Redis) -> None:
    await work.add("bad", 1)
    await drain(work)
    kept = [
        await work.add("good", 1),
        await work.add("good", 2, delay=60),
        await work.add("good", 3, priority=3),
    ]
    lost, held, fresh = await work.add_many("good", [4, 5, 6])
    await _scheduled(work, redis)
    for job in (*kept, lost, held):
        await redis.hset(work.keys().job(job.id), "timestamp", 1_000)
    for job in (lost, held, fresh):
        await redis.lrem(work.keys().wait, 1, job.id)
    await redis.hset(work.keys().job(held.id), "corral:group", "a")
    await redis.rpush(work.keys().logs(lost.id), "a row")
    before = {key async for key in redis.scan_iter("*")}

    assert await work.admin.remove_orphans(dry_run=True) == 1
    assert await work.admin.remove_orphans() == 1
    after = {key async for key in redis.scan_iter("*")}
    assert before - after == {work.keys().job(lost.id), work.keys().logs(lost.id)}


# Retention


async def test_the_retention_is_applied_where_no_job_finishes(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(
        retention=Retention(completed=Keep(count=5, age=3600), failed=Keep(age=60)), retry=Retry(attempts=1)
    )
    queue.job("good")(_return)
    queue.job("bad")(_fail)
    await queue.add_many("good", list(range(12)), remove_on_complete=False)
    await queue.add_many("bad", list(range(3)), remove_on_fail=False)
    await drain(queue)
    keys = queue.keys()
    old = await redis.zrange(keys.completed, 0, 1)
    await redis.zadd(keys.completed, dict.fromkeys(old, 1_000))
    first = (await redis.zrange(keys.failed, 0, 0))[0]
    await redis.zadd(keys.failed, {first: 1_000})

    assert await queue.admin.apply_retention(limit=1) == {"completed": 1, "failed": 1}
    assert await queue.admin.apply_retention() == {"completed": 6, "failed": 0}
    counts = await queue.counts()
    assert (counts["completed"], counts["failed"]) == (5, 2)
    assert len([key async for key in redis.scan_iter(f"{keys.base}[0-9]*")]) == 7
    assert await queue.admin.apply_retention() == {"completed": 0, "failed": 0}


async def _return(job: JobContext, data: int) -> int:
    return data


async def _fail(job: JobContext, data: int) -> None:
    raise ValueError("bad luck")


async def test_a_parent_no_longer_waits_for_a_failed_child_that_is_removed(work: Queue, redis: Redis) -> None:
    """As BullMQ has it when a failed child without a failure policy is removed."""
    child = await work.add("bad", 1)
    await _parent_of(work, redis, child.id)
    await drain(work)
    assert await state(work, child.id) == "failed"
    assert await state(work, "parent") == "waiting-children"

    assert await work.admin.clean("failed") == 1
    assert await state(work, child.id) is None
    assert await state(work, "parent") == "waiting"


# Jobs


async def test_a_retried_job_starts_as_if_new_and_keeps_its_priority(work: Queue, redis: Redis) -> None:
    job = await work.add("bad", 1, priority=9)
    await drain(work)
    key = work.keys().job(job.id)
    await redis.hset(
        key, mapping={"stc": 2, "ats": 3, "corral:suspect": "3:1", "corral:checkpoint": '{"paid":true}'}
    )

    await work.admin.retry(job.id)
    assert await redis.zscore(work.keys().prioritized, job.id) == 9 * 2**32 + 1
    fields = await redis.hgetall(key)
    assert {"stc", "corral:suspect", "atm", "ats", "failedReason", "finishedOn", "processedOn"}.isdisjoint(
        fields
    )
    assert fields["priority"] == "9"
    assert fields["corral:checkpoint"] == '{"paid":true}'

    await drain(work)
    again = await work.get(job.id)
    assert again is not None
    assert (again.status, again.attempts_made) == ("failed", 1)
    assert await redis.hget(key, "ats") == "1"


async def test_a_completed_job_can_be_retried_too(work: Queue) -> None:
    job = await work.add("good", 1)
    await drain(work)
    await work.admin.retry(job.id)
    fresh = await work.get(job.id)
    assert fresh is not None
    assert (fresh.status, fresh.result_value) == ("waiting", None)
    await drain(work)
    assert await job.result(timeout=10) == 1


async def test_retry_refuses_what_has_not_finished(work: Queue) -> None:
    job = await work.add("good", 1)
    with pytest.raises(WrongState, match=job.id):
        await work.admin.retry(job.id)
    await work.add_many("good", [1])
    for none in ("nope", "wait", "meta", "events"):
        with pytest.raises(JobNotFound):
            await work.admin.retry(none)
        with pytest.raises(JobNotFound):
            await work.admin.update_data(none, 1)


async def test_all_failed_jobs_are_retried_with_their_priorities(
    work: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "BATCH", 2)
    plain = await work.add_many("bad", [1, 2, 3])
    urgent = await work.add_many("bad", [4, 5], priority=1)
    await drain(work)
    other = await redis.zrange(work.keys().failed, 0, 0)
    await redis.hset(work.keys().job(other[0]), "name", "other")

    assert await work.admin.retry_all(name="bad", limit=1) == 1
    assert await work.admin.retry_all(name="bad") == 3
    assert await redis.zrange(work.keys().failed, 0, -1) == other
    assert await work.admin.retry_all() == 1
    waiting = {*await redis.lrange(work.keys().wait, 0, -1)}
    assert waiting == {job.id for job in plain}
    assert set(await redis.zrange(work.keys().prioritized, 0, -1)) == {job.id for job in urgent}


async def test_a_retry_wakes_an_idle_worker(work: Queue, start_worker: StartWorker) -> None:
    job = await work.add("good", 1)
    await start_worker(work).ready()
    await job.result(timeout=10)
    await work.admin.retry(job.id)
    await eventually(lambda: _has_rows(work, job.id, 2))


async def _has_rows(queue: Queue, job_id: str, rows: int) -> bool:
    return len(await queue.logs(job_id)) == rows


async def test_delayed_jobs_are_promoted_with_their_priority(work: Queue, redis: Redis) -> None:
    jobs = await work.add_many("good", [1, 2, 3], delay=3600)
    urgent = await work.add("good", 4, delay=3600, priority=2)
    await work.admin.promote(jobs[0].id)
    assert await state(work, jobs[0].id) == "waiting"
    assert await work.admin.promote_all() == 3
    assert await redis.zrange(work.keys().prioritized, 0, -1) == [urgent.id]
    assert await redis.hget(work.keys().job(urgent.id), "delay") == "0"
    with pytest.raises(WrongState):
        await work.admin.promote(urgent.id)
    with pytest.raises(JobNotFound):
        await work.admin.promote("nope")


async def test_jobs_are_removed_unless_they_run_or_belong_to_a_schedule(work: Queue, redis: Redis) -> None:
    job, running = await work.add_many("good", [1, 2])
    await work.admin.remove(job.id)
    assert await work.get(job.id) is None
    with pytest.raises(JobNotFound):
        await work.admin.remove(job.id)
    await redis.set(f"{work.keys().job(running.id)}:lock", "someone")
    with pytest.raises(WrongState, match="runs"):
        await work.admin.remove(running.id)
    young = await work.add("good", 3)  # it runs, and has no lock yet
    await redis.lmove(work.keys().wait, work.keys().active, "LEFT", "LEFT")
    with pytest.raises(WrongState, match="runs"):
        await work.admin.remove(young.id)
    with pytest.raises(BelongsToSchedule):
        await work.admin.remove(await _scheduled(work, redis))
    with pytest.raises(JobNotFound):
        await work.admin.remove("wait")


async def test_a_delay_can_change(work: Queue, redis: Redis) -> None:
    job = await work.add("good", 1, delay=3600)
    await work.admin.change_delay(job.id, 60)
    seconds, _ = await redis.time()
    due = await redis.zscore(work.keys().delayed, job.id) / 4096 / 1000
    assert seconds + 50 < due <= seconds + 62
    plain = await work.add("good", 1)
    with pytest.raises(WrongState):
        await work.admin.change_delay(plain.id, 1)
    with pytest.raises(JobNotFound):
        await work.admin.change_delay("nope", 1)
    with pytest.raises(InvalidInput):
        await work.admin.change_delay(job.id, float("nan"))


async def test_a_priority_can_change(work: Queue, redis: Redis) -> None:
    first, second = await work.add_many("good", [1, 2], priority=5)
    await work.admin.change_priority(second.id, 1)
    assert await redis.zrange(work.keys().prioritized, 0, -1) == [second.id, first.id]
    await work.admin.change_priority(second.id, 0)
    assert await redis.lrange(work.keys().wait, 0, -1) == [second.id]
    with pytest.raises(InvalidOptions):
        await work.admin.change_priority(first.id, -1)
    with pytest.raises(JobNotFound):
        await work.admin.change_priority("nope", 1)


async def test_data_can_change_to_what_the_type_allows(work: Queue) -> None:
    job = await work.add("good", 1)
    await work.admin.update_data(job.id, 42)
    await drain(work)
    assert await job.result(timeout=10) == 42
    with pytest.raises(InvalidData):
        await work.admin.update_data(job.id, "no number")
    with pytest.raises(JobNotFound):
        await work.admin.update_data("nope", 1)
