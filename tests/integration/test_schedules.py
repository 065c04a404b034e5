"""`queue.schedules`: added, refused, read, run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from recurring_reports import OSLO, declare_reports, pending
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import JobContext, Queue, Retry
from corral.errors import (
    InvalidData,
    InvalidOptions,
    JobTooLarge,
    ScheduleNotFound,
    UnknownJobName,
)
from eventually import eventually

LATER = datetime(2031, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def done(reports: Queue) -> list[str]:
    """Ids of the jobs that ran."""
    return declare_reports(reports)


@pytest.fixture
def reports(queue: Queue) -> Queue:
    return queue


# Added and read


async def test_a_schedule_is_read_back_as_it_was_given(reports: Queue) -> None:
    start, end = datetime.now(UTC) + timedelta(days=1), datetime.now(UTC) + timedelta(days=90)
    await reports.schedules.upsert(
        "nightly", "build", cron="0 3 * * *", tz="Europe/Berlin", data=OSLO, start=start, end=end, limit=7
    )
    found = await reports.schedules.get("nightly")
    assert found is not None
    assert (found.id, found.name, found.data) == ("nightly", "build", OSLO)
    assert (found.cron, found.every, found.tz, found.limit) == ("0 3 * * *", None, "Europe/Berlin", 7)
    assert found.start is not None
    assert abs(found.start - start) < timedelta(milliseconds=1)
    assert found.next_run is not None
    assert start < found.next_run < start + timedelta(days=1, hours=1)
    assert (found.iterations, found.last_run, found.paused) == (1, None, False)
    previews = found.next_runs(3)
    assert previews[0] == found.next_run
    assert [run.strftime("%H:%M") for run in previews] == ["03:00"] * 3
    assert found.next_runs(1, "Asia/Tokyo")[0] == found.next_run
    assert await reports.schedules.get("other") is None


async def test_the_list_has_the_next_to_run_first(reports: Queue) -> None:
    for schedule_id, days in (("later", 3), ("soon", 1), ("between", 2)):
        start = datetime.now(UTC) + timedelta(days=days)
        await reports.schedules.upsert(schedule_id, "build", every=60, start=start, data=OSLO)
    assert await reports.schedules.pause("soon")
    assert [s.id for s in await reports.schedules.list()] == ["between", "later", "soon"]


async def test_utc_is_the_zone_of_a_cron_that_names_none(reports: Queue, redis: Redis) -> None:
    made = await reports.schedules.upsert("nightly", "build", cron="0 3 * * *", data=OSLO)
    assert made.next_run is not None
    assert made.next_run.astimezone(UTC).hour == 3
    # Said on the wire too: a Node worker would take its own host's zone.
    assert await redis.hget(reports.keys().schedule("nightly"), "tz") == "UTC"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "`cron` or `every`"),
        ({"cron": "0 3 * * *", "every": 5}, "`cron` or `every`"),
        ({"cron": "61 * * * *"}, "minute field"),
        ({"cron": "0 3 * * *", "tz": "Berlin"}, "no time zone"),
        ({"cron": "0 3 * * *", "offset": 1}, "`offset` belongs"),
        ({"every": 0}, "every=0"),
        ({"every": -1}, "every=-1"),
        ({"every": 5, "tz": "UTC"}, "`tz` belongs"),
        ({"every": 5, "offset": 5}, "offset=5"),
        ({"every": 5, "limit": 0}, "limit=0"),
        ({"every": 5, "start": datetime(2030, 1, 1)}, "`start` needs a time zone"),  # noqa: DTZ001  # the mistake
        (
            {"every": 5, "start": datetime(2031, 1, 1, tzinfo=UTC), "end": datetime(2030, 1, 1, tzinfo=UTC)},
            "end",
        ),
        ({"every": 5, "end": datetime(2020, 1, 1, tzinfo=UTC)}, "no run"),
        ({"cron": "0 0 1 1 *", "end": datetime.now(UTC) + timedelta(seconds=5)}, "no run"),
        ({"every": 5, "delay": 3}, "no `delay`"),
        ({"every": 5, "attemps": 3}, "not an option"),
        ({"every": 5, "priority": -1}, "priority=-1"),
    ],
)
async def test_nonsense_is_refused_and_nothing_is_written(
    reports: Queue, redis: Redis, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidOptions, match=says):
        await reports.schedules.upsert("nightly", "build", data=OSLO, **options)
    assert await redis.keys("bull:*") == []


async def test_what_else_is_refused(reports: Queue) -> None:
    upsert = reports.schedules.upsert
    with pytest.raises(UnknownJobName, match="It has: build"):
        await upsert("nightly", "biuld", every=5)
    with pytest.raises(InvalidData):
        await upsert("nightly", "build", every=5, data={"town": "Oslo"})
    with pytest.raises(JobTooLarge):
        await upsert("nightly", "build", every=5, data={"city": "x" * 2_000_000})
    for schedule_id in ("", "a:b", "x" * 201, "a\nb"):
        with pytest.raises(InvalidOptions, match="cannot name a schedule"):
            await upsert(schedule_id, "build", every=5, data=OSLO)
    with pytest.raises(ScheduleNotFound):
        await reports.schedules.run_now("nightly")
    assert not await reports.schedules.remove("nightly")
    assert not await reports.schedules.pause("nightly")
    assert not await reports.schedules.resume("nightly")


# Run


async def test_every_runs_at_once_and_then_in_its_rhythm(
    reports: Queue, done: list[str], start_worker: StartWorker, redis: Redis
) -> None:
    await reports.schedules.upsert("pulse", "build", every=0.1, data=OSLO, retry=Retry(attempts=5))
    start_worker(reports)
    await eventually(lambda: len(done) >= 5)
    slots = [int(job_id.rpartition(":")[2]) for job_id in done]
    assert len(set(slots)) == len(slots)
    assert {slot % 100 for slot in slots} == {slots[0] % 100}
    job = await reports.get(done[0])
    assert job is not None
    assert msgspec.json.decode(await redis.hget(reports.keys().job(job.id), "opts"))["attempts"] == 5
    found = await reports.schedules.get("pulse")
    assert found is not None
    assert found.iterations >= 5
    assert found.last_run is not None
    assert round(found.last_run.timestamp() * 1000) in [slots[-1] + 100 * k for k in range(-2, 50)]


async def test_an_offset_is_counted_from_full_multiples(reports: Queue) -> None:
    made = await reports.schedules.upsert("hourly", "build", every=3600, offset=600, data=OSLO)
    assert made.next_run is not None
    assert made.next_run > datetime.now(UTC)
    assert made.next_run.timestamp() % 3600 == 600


async def test_a_start_is_the_first_run_and_a_limit_is_kept(
    reports: Queue, done: list[str], start_worker: StartWorker
) -> None:
    start = datetime.now(UTC) + timedelta(seconds=0.3)
    await reports.schedules.upsert("few", "build", every=0.05, start=start, limit=3, data=OSLO)
    await reports.schedules.upsert("pulse", "build", every=0.05, start=start, data=OSLO)
    start_worker(reports)

    def ran(schedule_id: str) -> list[int]:
        return [int(i.split(":")[2]) for i in done if i.split(":")[1] == schedule_id]

    await eventually(lambda: len(ran("pulse")) >= 8)
    assert len(ran("few")) == 3
    assert ran("few")[0] == round(start.timestamp() * 1000)
    found = await reports.schedules.get("few")
    assert found is not None
    assert (found.next_run, found.iterations, found.next_runs(3)) == (None, 3, [])


async def test_no_run_is_later_than_the_end(
    reports: Queue, done: list[str], start_worker: StartWorker
) -> None:
    end = datetime.now(UTC) + timedelta(seconds=0.4)
    await reports.schedules.upsert("few", "build", every=0.1, end=end, data=OSLO)
    await reports.schedules.upsert("pulse", "build", every=0.1, data=OSLO)
    start_worker(reports)
    await eventually(lambda: sum("pulse" in i for i in done) >= 8)
    last = max(int(i.split(":")[2]) for i in done if "few" in i)
    assert last <= end.timestamp() * 1000


async def test_immediately_makes_one_run_at_once(reports: Queue, done: list[str], redis: Redis) -> None:
    await reports.schedules.upsert("yearly", "build", cron="@yearly", immediately=True, data=OSLO)
    await drain(reports)
    assert len(done) == 1
    found = await reports.schedules.get("yearly")
    assert found is not None
    assert found.next_run is not None
    assert (found.next_run.month, found.next_run.day) == (1, 1)
    assert await pending(reports, redis) == [f"repeat:yearly:{round(found.next_run.timestamp() * 1000)}"]


async def test_a_run_that_takes_longer_than_the_period_does_not_hold_the_next_one_back(
    make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    queue = make_queue()
    running, most, gate = 0, 0, asyncio.Event()

    @queue.job("slow")
    async def slow(job: JobContext) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1

    await queue.schedules.upsert("pulse", "slow", every=0.05)
    start_worker(queue, concurrency=3)
    await eventually(lambda: most == 3)  # as many as there are slots
    await queue.schedules.remove("pulse")
    gate.set()


async def test_run_now_is_one_job_more(reports: Queue, redis: Redis) -> None:
    made = await reports.schedules.upsert(
        "nightly", "build", cron="0 3 * * *", data=OSLO, priority=4, remove_on_complete=False
    )
    job = await reports.schedules.run_now("nightly")
    assert await redis.zscore(reports.keys().prioritized, job.id)
    await drain(reports)
    assert await job.result(timeout=5) == "Oslo"
    assert await redis.hget(reports.keys().job(job.id), "rjk") is None
    after = await reports.schedules.get("nightly")
    assert after is not None
    assert (after.next_run, after.iterations) == (made.next_run, 1)
    await reports.schedules.pause("nightly")
    assert await (await reports.schedules.run_now("nightly")).refresh()


async def test_a_change_of_rhythm_keeps_data_options_and_pause(reports: Queue, redis: Redis) -> None:
    await reports.schedules.upsert("nightly", "build", cron="0 3 * * *", data=OSLO, priority=7)
    await reports.schedules.pause("nightly")
    before = await reports.schedules.get("nightly")
    changed = await reports.schedules.change("nightly", every=60)
    assert before is not None
    assert (changed.every, changed.cron, changed.paused, changed.data) == (60, None, True, before.data)
    assert await reports.schedules.resume("nightly")
    assert (
        msgspec.json.decode(await redis.hget(f"bull:{reports.name}:repeat:nightly", "opts"))["priority"] == 7
    )
    with pytest.raises(ScheduleNotFound):
        await reports.schedules.change("nobody", every=60)
    with pytest.raises(InvalidOptions):
        await reports.schedules.change("nightly", every=60, cron="* * * * *")
