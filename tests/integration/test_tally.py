"""The tally of a worker: what it counts is what Redis took."""

from __future__ import annotations

import asyncio
from typing import Any

from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Queue, Retry, Snooze, Unrecoverable, Worker
from corral.worker.tally import MOST_NAMES, OTHER, Row, Tally
from eventually import eventually


async def counted(queue: Queue) -> Tally:
    worker = Worker(queue, concurrency=10)
    async with asyncio.timeout(30):
        await worker.run(until_empty=True)
    return worker.tallies[queue.name]


async def test_every_kind_of_end_counts_by_job_name(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=2, delay=0.01))
    snoozed: set[str] = set()

    @queue.job("good")
    async def good(job: Any, data: int) -> None:
        pass

    @queue.job("bad")
    async def bad(job: Any, data: int) -> None:
        if job.attempt == 1:
            raise ValueError("again")
        if data == 0:
            raise Unrecoverable("never")

    @queue.job("late")
    async def late(job: Any, data: int) -> None:
        if job.id not in snoozed:
            snoozed.add(job.id)
            raise Snooze(0.01)

    await queue.add_many("good", list(range(7)))
    await queue.add_many("bad", [0, 1, 1])
    await queue.add("late", 0)
    tally = await counted(queue)
    while (await queue.counts())["delayed"]:
        again = await counted(queue)
        for name, row in again.rows.items():
            for number in ("started", "restarted", "completed", "failed", "retried", "put_back"):
                total = getattr(tally.row(name.encode()), number) + getattr(row, number)
                setattr(tally.row(name.encode()), number, total)

    def of(row: Row) -> tuple[int, ...]:
        return row.started, row.first_started, row.completed, row.failed, row.retried, row.put_back

    assert of(tally.rows["good"]) == (7, 7, 7, 0, 0, 0)
    assert of(tally.rows["bad"]) == (6, 3, 2, 1, 3, 0)
    assert of(tally.rows["late"]) == (2, 1, 1, 0, 0, 1)


async def test_a_job_that_somebody_cancels_is_no_failure(
    make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    queue = make_queue()
    runs = asyncio.Event()

    @queue.job("long")
    async def long(job: Any, data: None) -> None:
        runs.set()
        await asyncio.sleep(60)

    worker = start_worker(queue).worker
    job = await queue.add("long", None)
    await asyncio.wait_for(runs.wait(), 30)
    await job.cancel("not needed")
    row = worker.tallies[queue.name].rows["long"]
    await eventually(lambda: row.cancelled == 1)
    assert (row.started, row.completed, row.failed) == (1, 0, 0)


async def test_times_of_every_job_are_counted_below_the_limit(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.job("nap")
    async def nap(job: Any, data: None) -> None:
        await asyncio.sleep(0.02)

    await queue.add_many("nap", [None] * 20)
    row = (await counted(queue)).rows["nap"]
    assert sum(row.wait.values()) == sum(row.run.values()) == 20
    assert 0.02 <= row.run_seconds / 20 < 5


async def test_a_wait_starts_when_the_delay_is_over(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue()

    @queue.job("nap")
    async def nap(job: Any, data: None) -> None:
        pass

    running = await start_worker(queue).ready()
    job = await queue.add("nap", None, delay=1.0)
    await job.result(timeout=20)
    row = running.worker.tallies[queue.name].rows["nap"]
    added = (await job.refresh()).enqueued_at
    assert added is not None
    started = float(await queue.client().hget(queue.keys().job(job.id), "processedOn") or "nan") / 1000
    assert abs(row.wait_seconds - (started - added - 1.0)) < 0.01


async def test_what_another_worker_took_is_lost_and_does_not_count(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    go = asyncio.Event()

    @queue.job("held")
    async def held(job: Any, data: None) -> None:
        await go.wait()

    job = await queue.add("held", None)
    running = await start_worker(queue).ready()
    await eventually(lambda: running.feeds[0].locks.held)
    await redis.lrem(queue.keys().active, 1, job.id)  # as the sweep of another worker does
    go.set()
    tally = running.worker.tallies[queue.name]
    await eventually(lambda: tally.lost_locks)
    assert (tally.rows["held"].started, tally.rows["held"].completed) == (1, 0)


async def test_unknown_names_are_noted_and_bounded(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.job("known")
    async def known(job: Any, data: None) -> None:
        pass

    producer = make_queue(queue.name)
    for number in range(3):
        await producer.add(f"new-{number}", None)
    tally = await counted(queue)
    assert tally.unknown == {"new-0": 1, "new-1": 1, "new-2": 1}
    assert tally.rows[OTHER].put_back == 3
    for number in range(1_000):
        tally.look_at_unknown(f"name-{number}" + "x" * 1_000)
    assert len(tally.unknown) <= 50


def test_names_beyond_the_bound_are_counted_together() -> None:
    names = [f"name-{number}" for number in range(MOST_NAMES + 5)]
    tally = Tally(names)
    for name in names:
        tally.row(name.encode()).started += 1
    assert len(tally.rows) == MOST_NAMES + 1
    assert tally.rows[OTHER].started == 5


def test_a_flood_is_sampled_and_every_start_is_still_stood_for() -> None:
    row = Row("flood")
    for _second in range(3):
        for _ in range(60_000):
            row.started += 1
            if row.started >= row.next_timed:
                row.time_end(0.001, row.time_start(0.5))
        row.pace(1.0)
    assert row.stride == 60
    assert row.started - row.stride <= sum(row.wait.values()) <= row.started
    assert sum(row.run.values()) == sum(row.wait.values())
    row.pace(1.0)  # it has become quiet
    row.started += 1
    assert row.started >= row.next_timed


async def test_a_drained_queue_tallies_all_of_many_jobs(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.job("track")
    async def track(job: Any, data: int) -> None:
        pass

    await queue.add_many("track", list(range(5_000)))
    row = (await counted(queue)).rows["track"]
    assert (row.started, row.first_started, row.completed) == (5_000, 5_000, 5_000)
    await drain(queue)
