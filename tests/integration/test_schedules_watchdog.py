"""A schedule goes on: its run was removed, its worker died, Redis was away, or its job kills workers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from running_worker import MakeQueue, Redis, StartWorker

from corral import JobContext, Queue, Retry
from corral.bullmq.schedule_reader import ScheduleReader
from corral.bullmq.scheduler import Scheduler
from eventually import eventually

CHILD = Path(__file__).parent / "children" / "deadly_schedule.py"


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "0.3")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "0.2")


class Pulse:
    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.keys = queue.keys()
        self.ran: list[str] = []

        @queue.job("beat")
        async def beat(job: JobContext) -> None:
            self.ran.append(job.id)


@pytest.fixture
def pulse(make_queue: MakeQueue) -> Pulse:
    return Pulse(make_queue())


async def lost(queue: Queue) -> list[str]:
    _, found = await ScheduleReader(queue.client(), queue.keys()).lost(1)
    return [entry.record.id for entry in found]


async def make_overdue(pulse: Pulse, redis: Redis, schedule_id: str) -> str:
    """Move a schedule's pending run to a second ago, as if no worker had been there since. Returns its id."""
    keys = pulse.keys
    slot = round(time.time() * 1000) - 1000
    [was] = [i for i in await redis.zrange(keys.delayed, 0, -1) if i.startswith(f"repeat:{schedule_id}:")]
    run = f"repeat:{schedule_id}:{slot}"
    await redis.rename(keys.job(was), keys.job(run))
    await redis.zrem(keys.delayed, was)
    await redis.zadd(keys.delayed, {run: slot * 4096})
    await redis.zadd(keys.repeat, {schedule_id: slot})
    return run


# Found by the watchdog


async def test_a_schedule_whose_run_was_removed_goes_on(
    pulse: Pulse, start_worker: StartWorker, redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    await pulse.queue.schedules.upsert("each-second", "beat", cron="* * * * * *", retry=Retry(attempts=7))
    run = await make_overdue(pulse, redis, "each-second")
    await redis.zrem(pulse.keys.delayed, run)
    await redis.delete(pulse.keys.job(run))
    start_worker(pulse.queue)
    await eventually(lambda: len(pulse.ran) >= 2)
    assert run not in pulse.ran
    assert "schedule_rearmed" in capsys.readouterr().out
    assert '"attempts":7' in await redis.hget(pulse.keys.job(pulse.ran[-1]), "opts")


async def test_a_schedule_with_every_goes_on_in_its_rhythm(
    pulse: Pulse, start_worker: StartWorker, redis: Redis
) -> None:
    await pulse.queue.schedules.upsert("pulse", "beat", every=0.1, offset=0.03)
    run = await make_overdue(pulse, redis, "pulse")
    await redis.zrem(pulse.keys.delayed, run)
    await redis.delete(pulse.keys.job(run))
    start_worker(pulse.queue)
    await eventually(lambda: len(pulse.ran) >= 3)
    assert {int(job_id.rpartition(":")[2]) % 100 for job_id in pulse.ran[1:]} == {30}


async def test_a_run_that_only_waits_is_not_lost(pulse: Pulse, redis: Redis) -> None:
    for schedule_id in ("delayed", "waiting", "prioritized", "active"):
        await pulse.queue.schedules.upsert(schedule_id, "beat", cron="@yearly")
        run = await make_overdue(pulse, redis, schedule_id)
        if schedule_id == "delayed":
            continue
        await redis.zrem(pulse.keys.delayed, run)
        if schedule_id == "prioritized":
            await redis.zadd(pulse.keys.prioritized, {run: 1})
        else:
            await redis.lpush(getattr(pulse.keys, {"waiting": "wait"}.get(schedule_id, schedule_id)), run)
    assert await redis.zcard(pulse.keys.repeat) == 4
    assert await lost(pulse.queue) == []


async def test_a_run_that_is_in_no_list_is_lost(pulse: Pulse, redis: Redis) -> None:
    """What a v5 client's resume can leave behind: the job's hash, and no list that names it."""
    await pulse.queue.schedules.upsert("yearly", "beat", cron="@yearly")
    run = await make_overdue(pulse, redis, "yearly")
    await redis.zrem(pulse.keys.delayed, run)
    assert await lost(pulse.queue) == ["yearly"]


async def test_a_run_that_started_without_making_the_next_one_is_lost(pulse: Pulse, redis: Redis) -> None:
    await pulse.queue.schedules.upsert("yearly", "beat", cron="@yearly")
    run = await make_overdue(pulse, redis, "yearly")
    await redis.hset(pulse.keys.job(run), "processedOn", 1)
    assert await lost(pulse.queue) == ["yearly"]


async def test_one_worker_in_each_interval_looks(pulse: Pulse, redis: Redis) -> None:
    await pulse.queue.schedules.upsert("yearly", "beat", cron="@yearly")
    run = await make_overdue(pulse, redis, "yearly")
    await redis.zrem(pulse.keys.delayed, run)
    await redis.delete(pulse.keys.job(run))
    await redis.zadd(pulse.keys.repeat, {"yearly": int(run.rpartition(":")[2]) - 3_600_000})
    reader = ScheduleReader(pulse.queue.client(), pulse.keys)
    looks = await asyncio.gather(*(reader.lost(60_000) for _ in range(5)))
    assert sorted(len(found) for _, found in looks) == [0, 0, 0, 0, 1]


async def test_rearming_twice_makes_one_run(pulse: Pulse, redis: Redis) -> None:
    await pulse.queue.schedules.upsert("yearly", "beat", cron="@yearly")
    run = await make_overdue(pulse, redis, "yearly")
    await redis.zrem(pulse.keys.delayed, run)
    await redis.delete(pulse.keys.job(run))
    now, [entry] = await ScheduleReader(pulse.queue.client(), pulse.keys).lost(1)
    scheduler = Scheduler(pulse.queue.client(), pulse.keys)
    made = await asyncio.gather(*(scheduler.rearm(entry, now) for _ in range(5)))
    assert sum(job is not None for job in made) == 1
    assert await redis.zcard(pulse.keys.delayed) == 1


async def test_a_schedule_that_is_over_stays_over(
    pulse: Pulse, start_worker: StartWorker, redis: Redis
) -> None:
    for keep in (True, False):
        name = f"twice-{keep}"
        await pulse.queue.schedules.upsert(name, "beat", every=0.05, limit=2, remove_on_complete=not keep)
    start_worker(pulse.queue)
    await eventually(lambda: len(pulse.ran) == 4)
    swept = pulse.keys.schedules("sweep")
    for _ in range(3):  # three sweeps after both are long overdue
        await eventually(lambda: redis.exists(swept))
        await redis.delete(swept)  # the turn of the next one
    assert len(pulse.ran) == 4


async def test_an_entry_that_no_one_can_read_stops_no_other(
    pulse: Pulse, start_worker: StartWorker, redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = pulse.keys
    await redis.zadd(keys.repeat, {"name:id::UTC:* * * * *": 1, "odd": 1, "legacy": 1})
    await redis.hset(keys.schedule("odd"), mapping={"name": "beat", "pattern": "H * * * *", "ic": 1})
    await pulse.queue.schedules.upsert("each-second", "beat", cron="* * * * * *")
    run = await make_overdue(pulse, redis, "each-second")
    await redis.zrem(keys.delayed, run)
    await redis.delete(keys.job(run))
    start_worker(pulse.queue)
    await eventually(lambda: len(pulse.ran) >= 1)
    out = capsys.readouterr().out
    assert out.count("schedule_unreadable") == 1
    assert "H * * * *" in out


async def test_notes_of_schedules_that_others_removed_are_cleaned(pulse: Pulse, redis: Redis) -> None:
    await pulse.queue.schedules.upsert("stays", "beat", cron="@yearly")
    await redis.hset(pulse.keys.schedules("last"), mapping={"stays": 1, "gone": 2, "gone-too": 3})
    await lost(pulse.queue)
    assert await redis.hkeys(pulse.keys.schedules("last")) == ["stays"]


# Making the next run


async def test_redis_away_at_that_moment_loses_neither_the_job_nor_the_schedule(
    pulse: Pulse,
    start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arm, failures = Scheduler.arm, 1

    async def fail_once(self: Scheduler, *args: Any, **options: Any) -> str | None:
        nonlocal failures
        if failures:
            failures -= 1
            raise RedisConnectionError("away")
        return await arm(self, *args, **options)

    monkeypatch.setattr(Scheduler, "arm", fail_once)
    await pulse.queue.schedules.upsert("pulse", "beat", every=0.1)
    start_worker(pulse.queue)
    await eventually(lambda: len(pulse.ran) >= 3)
    assert len(set(pulse.ran)) == len(pulse.ran)
    out = capsys.readouterr().out
    assert "schedule_not_armed" in out
    assert "schedule_rearmed" in out


async def test_a_retry_makes_no_second_run(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    queue = make_queue()

    @queue.job("fails")
    async def fails(job: JobContext) -> str:
        if job.attempt < 3:
            raise ValueError("again")
        return "at last"

    await queue.schedules.upsert(
        "yearly", "fails", cron="@yearly", immediately=True, retry=Retry(attempts=3, delay=0.01)
    )
    [run] = await redis.lrange(queue.keys().wait, 0, -1)
    start_worker(queue)
    job = await queue.get(run)
    assert job is not None
    assert await job.result(timeout=15) == "at last"
    assert await redis.zcard(queue.keys().delayed) == 1
    found = await queue.schedules.get("yearly")
    assert found is not None
    assert found.iterations == 2


async def test_a_plain_job_asks_nothing_about_schedules(
    pulse: Pulse, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*args: object, **options: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr("corral.worker.execute.make_next_run", never)
    start_worker(pulse.queue)
    job = await pulse.queue.add("beat")
    await job.result(timeout=15)
    assert (await job.refresh()).attempts_made == 1


async def test_a_repeatable_job_of_an_old_bullmq_is_run_and_not_continued(
    pulse: Pulse, start_worker: StartWorker, redis: Redis
) -> None:
    """BullMQ 6 does the same; its data would be lost."""
    key = "beat:::UTC:* * * * *"
    job = await pulse.queue.add("beat")
    opts = '{"repeat":{"pattern":"* * * * *","count":1},"jobId":"x"}'
    await redis.hset(pulse.keys.job(job.id), mapping={"rjk": key, "opts": opts})
    await redis.zadd(pulse.keys.repeat, {key: 1})
    start_worker(pulse.queue)
    await job.result(timeout=15)
    assert await redis.zcard(pulse.keys.delayed) == 0


# Jobs that kill


async def test_a_scheduled_job_that_kills_its_workers_goes_to_the_dead_letters_and_its_schedule_goes_on(
    make_queue: MakeQueue, redis: Redis, redis_url: str
) -> None:
    """Real processes, killed by the handler itself; a new one takes the place of each."""
    queue = make_queue("deadly")
    await queue.schedules.upsert("hourly", "dies", every=3600)
    [run] = await redis.lrange(queue.keys().wait, 0, -1)
    deaths = 0
    async with asyncio.timeout(90):
        while True:
            process = start_child(redis_url)
            try:
                await eventually(lambda: ended(process) or _failed(redis, queue, run), within=30)  # noqa: B023  # awaited here
                if not ended(process):
                    break
            finally:
                process.kill()
                process.wait()
            deaths += 1
    assert deaths == 2
    assert "died or stalled 2 times" in await redis.hget(queue.keys().job(run), "failedReason")
    [following] = await redis.zrange(queue.keys().delayed, 0, -1)
    assert int(following.rpartition(":")[2]) == int(run.rpartition(":")[2]) + 3_600_000


async def test_a_worker_killed_between_fetch_and_making_the_next_run(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis, redis_url: str
) -> None:
    queue = make_queue("deadly")
    ran: list[str] = []

    @queue.job("beats")
    async def beats(job: JobContext) -> None:
        ran.append(job.id)

    await queue.schedules.upsert("hourly", "beats", every=3600)
    [run] = await redis.lrange(queue.keys().wait, 0, -1)
    process = start_child(redis_url, "before-arming")
    try:
        await eventually(lambda: ended(process), within=30)
    finally:
        process.kill()
        process.wait()
    assert await redis.lrange(queue.keys().active, 0, -1) == [run]
    assert await redis.zcard(queue.keys().delayed) == 0  # that is the moment
    start_worker(queue)
    await eventually(lambda: ran == [run])
    assert await redis.zcard(queue.keys().delayed) == 1


def start_child(redis_url: str, *args: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(CHILD), redis_url, *args])


def ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


async def _failed(redis: Redis, queue: Queue, run: str) -> bool:
    return await redis.zscore(queue.keys().failed, run) is not None
