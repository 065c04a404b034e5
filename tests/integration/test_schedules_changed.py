"""A schedule is changed, paused and resumed, and never has two pending runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from recurring_reports import OSLO, declare_reports, pending
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import JobContext, Queue, Retry
from corral.bullmq.schedule_reader import ScheduleReader
from corral.errors import (
    InvalidOptions,
)
from eventually import eventually


@pytest.fixture(autouse=True)
def done(reports: Queue) -> list[str]:
    """Ids of the jobs that ran."""
    return declare_reports(reports)


@pytest.fixture
def reports(queue: Queue) -> Queue:
    return queue


# Changed


async def test_an_upsert_that_changes_nothing_writes_nothing(reports: Queue, redis: Redis) -> None:
    options: dict[str, Any] = {
        "data": OSLO,
        "retry": Retry(attempts=3, delays=(1, 2.5), jitter=1 / 3),
        "timeout": 2.5,
    }
    await reports.schedules.upsert("nightly", "build", cron="0 3 * * *", **options)
    await reports.schedules.upsert("pulse", "build", every=60, **options)
    before = await redis.xlen(reports.keys().events)
    await reports.schedules.upsert("nightly", "build", cron="0 3 * * *", **options)
    await reports.schedules.upsert("pulse", "build", every=60, **options)
    assert await redis.xlen(reports.keys().events) == before


async def test_a_change_replaces_the_pending_run(reports: Queue, redis: Redis) -> None:
    await reports.schedules.upsert("nightly", "build", cron="0 3 * * *", data=OSLO)
    changed = await reports.schedules.upsert("nightly", "build", cron="30 4 * * *", data={"city": "Bonn"})
    [run] = await pending(reports, redis)
    assert changed.next_run is not None
    assert run == f"repeat:nightly:{round(changed.next_run.timestamp() * 1000)}"
    assert await redis.hget(reports.keys().job(run), "data") == '{"city":"Bonn"}'


async def test_a_run_that_is_due_stays_due_when_its_data_changes(reports: Queue, redis: Redis) -> None:
    """BullMQ would take it away, and its next run might be a year off."""
    await reports.schedules.upsert("yearly", "build", cron="@yearly", immediately=True, data=OSLO)
    before = await pending(reports, redis)
    await reports.schedules.upsert("yearly", "build", cron="@yearly", data={"city": "Bonn"})
    assert await pending(reports, redis) == before
    await drain(reports)
    job = await reports.get(before[0])
    assert job is not None
    assert await job.result(timeout=5) == "Bonn"


async def test_a_change_while_a_run_is_under_way_leaves_one_pending_run(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    queue = make_queue()
    started, gate = asyncio.Event(), asyncio.Event()

    @queue.job("slow")
    async def slow(job: JobContext) -> None:
        started.set()
        await gate.wait()

    await queue.schedules.upsert("yearly", "slow", cron="@yearly", immediately=True)
    start_worker(queue)
    await started.wait()
    changed = await queue.schedules.upsert("yearly", "slow", cron="0 0 1 7 *")
    gate.set()
    assert changed.next_run is not None
    await eventually(lambda: _is_idle(queue, redis))
    assert await pending(queue, redis) == [f"repeat:yearly:{round(changed.next_run.timestamp() * 1000)}"]


async def _is_idle(queue: Queue, redis: Redis) -> bool:
    return bool(await redis.llen(queue.keys().active) == 0)


async def test_many_upserts_at_once_leave_one_pending_run(reports: Queue, redis: Redis) -> None:
    await asyncio.gather(
        *(reports.schedules.upsert("pulse", "build", every=60, data={"city": str(n % 3)}) for n in range(12))
    )
    assert len(await pending(reports, redis)) == 1
    assert await redis.zcard(reports.keys().repeat) == 1


async def test_an_upsert_does_not_write_over_what_another_did_meanwhile(
    reports: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BullMQ's own is blind: the schedule would run again, beside its paused copy."""
    await reports.schedules.upsert("nightly", "build", cron="0 3 * * *", data=OSLO)
    look, first = ScheduleReader.look, True

    async def look_and_be_overtaken(self: ScheduleReader, schedule_id: str) -> Any:
        nonlocal first
        seen = await look(self, schedule_id)
        if first:
            first = False
            assert await reports.schedules.pause(schedule_id)
        return seen

    monkeypatch.setattr(ScheduleReader, "look", look_and_be_overtaken)
    changed = await reports.schedules.upsert("nightly", "build", cron="0 5 * * *", data=OSLO)
    assert (changed.paused, changed.cron) == (True, "0 5 * * *")
    assert await pending(reports, redis) == []
    assert await redis.exists(reports.keys().repeat) == 0


async def test_a_change_counts_the_limit_anew(
    reports: Queue, done: list[str], start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "0.1")
    start_worker(reports)
    await reports.schedules.upsert("few", "build", every=0.05, limit=2, data=OSLO)
    await eventually(lambda: len(done) == 2)
    await reports.schedules.upsert("few", "build", every=0.06, limit=3, data=OSLO)
    await reports.schedules.upsert("pulse", "build", every=0.06, data=OSLO)
    await eventually(lambda: sum("pulse" in job_id for job_id in done) >= 10)
    assert sum("few" in job_id for job_id in done) == 5
    found = await reports.schedules.get("few")
    assert found is not None
    assert (found.iterations, found.next_run) == (3, None)


# Paused


async def test_a_paused_schedule_makes_no_run_and_goes_on_where_it_was(reports: Queue, redis: Redis) -> None:
    made = await reports.schedules.upsert("nightly", "build", cron="0 3 * * *", data=OSLO, limit=5)
    assert await reports.schedules.pause("nightly")
    assert not await reports.schedules.pause("nightly")
    assert await pending(reports, redis) == []
    assert await redis.exists(reports.keys().repeat, reports.keys().schedule("nightly")) == 0
    [listed] = await reports.schedules.list()
    assert (listed.paused, listed.next_run, listed.cron, listed.data) == (True, None, "0 3 * * *", OSLO)
    assert listed.next_runs(1) == [made.next_run]

    assert await reports.schedules.resume("nightly")
    assert not await reports.schedules.resume("nightly")
    resumed = await reports.schedules.get("nightly")
    assert resumed is not None
    assert (resumed.next_run, resumed.iterations, resumed.limit) == (made.next_run, 1, 5)
    assert len(await pending(reports, redis)) == 1


async def test_a_run_that_is_due_is_not_made_either(reports: Queue, redis: Redis) -> None:
    for priority in (0, 5):
        await reports.schedules.upsert("now", "build", every=60, data=OSLO, priority=priority)
        assert len(await pending(reports, redis)) == 1
        assert await reports.schedules.pause("now")
        assert await pending(reports, redis) == []
        await reports.schedules.remove("now")


async def test_a_pause_counts_the_runs_that_were(reports: Queue, done: list[str]) -> None:
    await reports.schedules.upsert("few", "build", every=0.001, limit=3, data=OSLO)
    await drain(reports)  # one or more of its three runs
    while len(done) < 3:
        await reports.schedules.pause("few")
        await reports.schedules.resume("few")
        before = len(done)
        await eventually(lambda: _drained(reports, done, before))  # noqa: B023  # awaited at once
    assert len(done) == 3
    await reports.schedules.pause("few")
    with pytest.raises(InvalidOptions, match="has had its 3 runs"):
        await reports.schedules.resume("few")


async def _drained(reports: Queue, done: list[str], before: int) -> bool:
    await drain(reports)
    return len(done) > before


async def test_a_paused_schedule_can_be_changed_and_stays_paused(reports: Queue, redis: Redis) -> None:
    await reports.schedules.upsert("nightly", "build", cron="0 3 * * *", data=OSLO)
    await reports.schedules.pause("nightly")
    changed = await reports.schedules.upsert("nightly", "build", cron="0 5 * * *", data={"city": "Bonn"})
    assert (changed.paused, await pending(reports, redis)) == (True, [])
    await reports.schedules.resume("nightly")
    resumed = await reports.schedules.get("nightly")
    assert resumed is not None
    assert (resumed.cron, resumed.data, resumed.paused) == ("0 5 * * *", {"city": "Bonn"}, False)


async def test_a_paused_schedule_that_a_client_without_pauses_adds_again_runs(
    reports: Queue, redis: Redis
) -> None:
    await reports.schedules.upsert("nightly", "build", cron="0 3 * * *", data=OSLO)
    kept = await redis.hgetall(reports.keys().schedule("nightly"))
    [run] = await redis.zrange(reports.keys().delayed, 0, -1)
    await reports.schedules.pause("nightly")
    await redis.zadd(reports.keys().repeat, {"nightly": int(run.rpartition(":")[2])})
    await redis.hset(reports.keys().schedule("nightly"), mapping=kept)
    [listed] = await reports.schedules.list()
    assert not listed.paused
    changed = await reports.schedules.upsert("nightly", "build", cron="0 5 * * *", data=OSLO)
    assert not changed.paused
    assert len(await pending(reports, redis)) == 1
    assert await redis.exists(reports.keys().schedules("paused")) == 0


async def test_a_paused_schedule_can_be_removed(reports: Queue) -> None:
    await reports.schedules.upsert("nightly", "build", cron="0 3 * * *", data=OSLO)
    await reports.schedules.pause("nightly")
    assert await reports.schedules.remove("nightly")
    assert await reports.schedules.list() == []
