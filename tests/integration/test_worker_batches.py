"""Batches: collected by size or time, settled job by job, and stopped without a loss."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import msgspec
import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import (
    Batch,
    BatchJob,
    Job,
    JobContext,
    Queue,
    ResultTimeout,
    Retry,
    Snooze,
    ThreadBatchJob,
    Unrecoverable,
)
from corral.errors import ConfigurationError, LockLost
from eventually import eventually

ONCE = Retry(attempts=1)
AGAIN = Retry(attempts=2, backoff="fixed", delay=0)

#: A linger that no test waits for.
LONG = 3600.0


class Track(msgspec.Struct):
    event: str


async def results(jobs: list[Job]) -> list[Any]:
    return [await job.result(timeout=15) for job in jobs]


async def statuses(jobs: list[Job]) -> list[str | None]:
    return [(await job.refresh()).status for job in jobs]


async def active(queue: Queue) -> int:
    return (await queue.counts())["active"]


# Collecting


async def test_full_batches_do_not_linger(queue: Queue, start_worker: StartWorker) -> None:
    sizes: list[int] = []

    @queue.job("track", batch=Batch(size=50, linger=LONG))
    async def track(jobs: list[BatchJob], data: list[Track]) -> list[str]:
        sizes.append(len(jobs))
        assert [job.data for job in jobs] == data
        return [track.event for track in data]

    start_worker(queue)
    jobs = await queue.add_many("track", [Track(f"e{n}") for n in range(200)])
    assert await results(jobs) == [f"e{n}" for n in range(200)]
    assert sizes == [50] * 4


async def test_what_lingered_runs_with_what_is_there(queue: Queue) -> None:
    sizes: list[int] = []

    @queue.job("track", batch=Batch(size=50, linger=1))
    async def track(jobs: list[JobContext], data: list[Track]) -> None:
        sizes.append(len(jobs))

    jobs = await queue.add_many("track", [Track("e")] * 60)
    await drain(queue)
    assert await results(jobs) == [None] * 60
    assert sizes == [50, 10]


async def test_each_name_has_batches_of_its_own(queue: Queue) -> None:
    seen: list[tuple[str, list[int]]] = []

    @queue.job("even", batch=Batch(size=2, linger=LONG))
    async def even(jobs: list[JobContext], data: list[int]) -> None:
        seen.append(("even", data))

    @queue.job("odd", batch=Batch(size=3, linger=0.05))
    def odd(jobs: list[ThreadBatchJob], data: list[int]) -> None:
        seen.append(("odd", data))

    for number in range(5):
        await queue.add("odd" if number % 2 else "even", number)
    await queue.add("even", 6)
    await drain(queue)
    assert sorted((name, len(data)) for name, data in seen) == [("even", 2), ("even", 2), ("odd", 2)]
    assert all(number % 2 == (name == "odd") for name, data in seen for number in data)


@pytest.mark.parametrize(("concurrency", "most"), [(None, 1), (2, 2)])
async def test_the_queues_concurrency_bounds_its_batches(
    make_queue: MakeQueue, concurrency: int | None, most: int
) -> None:
    queue = make_queue(concurrency=concurrency)
    running = peak = 0

    @queue.job("track", batch=Batch(size=5, linger=0.01))
    async def track(jobs: list[JobContext], data: list[int]) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.01)
        running -= 1

    await queue.add_many("track", range(60))
    await drain(queue)
    assert peak == most


async def test_a_batch_is_collected_while_another_runs(queue: Queue, start_worker: StartWorker) -> None:
    gate = asyncio.Event()
    sizes: list[int] = []

    @queue.job("track", batch=Batch(size=10, linger=0.01))
    async def track(jobs: list[JobContext], data: list[int]) -> None:
        sizes.append(len(jobs))
        await gate.wait()

    start_worker(queue)
    first = await queue.add("track", 0)
    await eventually(lambda: sizes == [1])
    jobs = [await queue.add("track", number) for number in range(1, 11)]

    async def all_fetched() -> bool:
        return await active(queue) == 11

    await eventually(all_fetched)
    gate.set()
    await results([first, *jobs])
    assert sizes == [1, 10]


async def test_other_jobs_on_the_same_queue_are_refused(queue: Queue) -> None:
    @queue.job("track", batch=Batch())
    async def track(jobs: list[JobContext], data: list[int]) -> None: ...

    @queue.job("flush")
    async def flush(job: JobContext) -> None: ...

    with pytest.raises(ConfigurationError, match="flush"):
        await drain(queue)


# Settling


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_failures_are_of_single_jobs(make_queue: MakeQueue, kind: str) -> None:
    queue = make_queue(retry=ONCE)

    def work(jobs: list[Any], data: list[int]) -> list[Any]:
        jobs[1].fail(ValueError("told"))
        jobs[1].fail(ValueError("too late"))
        return [0, 1, KeyError("returned"), 3]

    async def work_in_the_loop(jobs: list[BatchJob], data: list[int]) -> list[Any]:
        return work(jobs, data)

    def work_in_a_thread(jobs: list[ThreadBatchJob], data: list[int]) -> list[Any]:
        return work(jobs, data)

    queue.job("track", batch=Batch(size=4, linger=LONG))(
        work_in_the_loop if kind == "async" else work_in_a_thread
    )
    jobs = await queue.add_many("track", range(4))
    await drain(queue)
    assert await statuses(jobs) == ["completed", "failed", "failed", "completed"]
    assert [job.result_value for job in jobs] == [0, None, None, 3]
    assert [job.failed_reason for job in jobs] == [None, "told", "KeyError: 'returned'", None]


async def test_each_job_keeps_its_attempts(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=AGAIN)
    attempts: list[list[int]] = []

    @queue.job("track", batch=Batch(size=3, linger=0.05))
    async def track(jobs: list[BatchJob], data: list[int]) -> None:
        attempts.append([job.attempt for job in jobs])
        for job in jobs:
            if job.data == 1 and job.attempt == 1:
                job.fail(ValueError("once"))
            if job.data == 2:
                job.fail(Unrecoverable("never"))

    jobs = await queue.add_many("track", range(3))
    await drain(queue)
    assert attempts == [[1, 1, 1], [2]]
    assert await statuses(jobs) == ["completed", "completed", "failed"]
    assert [job.attempts_made for job in jobs] == [1, 2, 1]


async def test_a_job_can_be_snoozed_alone(queue: Queue) -> None:
    @queue.job("track", batch=Batch(size=2, linger=LONG))
    async def track(jobs: list[BatchJob], data: list[int]) -> None:
        jobs[0].fail(Snooze(3600))

    jobs = await queue.add_many("track", range(2))
    await drain(queue)
    assert await statuses(jobs) == ["delayed", "completed"]
    assert jobs[0].attempts_made == 0


@pytest.mark.parametrize("kind", ["async", "thread"])
@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(1), StopIteration()])
async def test_an_error_of_the_handler_fails_all_that_are_not_settled(
    make_queue: MakeQueue, kind: str, error: BaseException
) -> None:
    queue = make_queue(retry=ONCE)

    async def in_the_loop(jobs: list[BatchJob], data: list[int]) -> None:
        jobs[0].fail(KeyError("own"))
        raise error

    def in_a_thread(jobs: list[ThreadBatchJob], data: list[int]) -> None:
        jobs[0].fail(KeyError("own"))
        raise error

    queue.job("track", batch=Batch(size=3, linger=LONG))(in_the_loop if kind == "async" else in_a_thread)
    jobs = await queue.add_many("track", range(3))
    await drain(queue)
    assert await statuses(jobs) == ["failed"] * 3
    assert jobs[0].failed_reason == "KeyError: 'own'"
    assert jobs[1].failed_reason == jobs[2].failed_reason != "KeyError: 'own'"


async def test_a_lost_lock_that_ends_the_handler_leaves_no_other_job_hanging(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=AGAIN)

    @queue.job("track", batch=Batch(size=2, linger=0.05))
    async def track(jobs: list[JobContext], data: list[int]) -> None:
        if jobs[0].attempt == 1:
            raise LockLost("Job 1 is no longer held.")  # as its checkpoint would

    jobs = await queue.add_many("track", range(2))
    await drain(queue)
    assert await statuses(jobs) == ["completed"] * 2
    assert [job.attempts_made for job in jobs] == [2, 2]


@pytest.mark.parametrize("wrong", [[1], [1, 2, 3], "ab", 7])
async def test_a_wrong_number_of_results_cannot_be_kept(make_queue: MakeQueue, wrong: Any) -> None:
    queue = make_queue(retry=AGAIN)
    runs = 0

    @queue.job("track", batch=Batch(size=2, linger=LONG))
    async def track(jobs: list[JobContext], data: list[int]) -> Any:
        nonlocal runs
        runs += 1
        return wrong

    jobs = await queue.add_many("track", range(2))
    await drain(queue)
    assert await statuses(jobs) == ["failed"] * 2
    assert "a place for each job" in str(jobs[0].failed_reason)
    assert runs == 1


async def test_undecodable_data_costs_its_own_job_alone(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue()

    @queue.job("track", batch=Batch(size=2, linger=LONG))
    async def track(jobs: list[JobContext], data: list[Track]) -> None:
        assert len(jobs) == 2

    jobs = await queue.add_many("track", [Track("e")] * 3)
    await redis.hset(queue.keys().job(jobs[1].id), "data", '{"event":7}')
    await drain(queue)
    assert await statuses(jobs) == ["completed", "failed", "completed"]


async def test_a_job_of_a_batch_reports_and_cannot_wait(queue: Queue) -> None:
    @queue.job("track", batch=Batch(size=2, linger=LONG))
    async def track(jobs: list[BatchJob], data: list[int]) -> list[Any]:
        await jobs[0].progress(50)
        await jobs[0].checkpoint({"row": 1})
        with pytest.raises(Exception, match="cannot wait"):
            await jobs[1].wait_for("check-7", timeout=1)
        with pytest.raises(Exception, match="takes an exception"):
            jobs[1].fail("text")  # type: ignore[arg-type]  # the point
        return [jobs[0].checkpoints, repr(jobs[1])]

    jobs = await queue.add_many("track", range(2))
    await drain(queue)
    assert await results(jobs) == [
        {"row": 1},
        f"JobContext({jobs[1].id!r}, queue={queue.name!r}, name='track', attempt=1)",
    ]
    assert (await jobs[0].refresh()).progress == 50


async def test_batches_get_resources(queue: Queue) -> None:
    class Warehouse:
        rows: list[int] = []  # noqa: RUF012  # one warehouse

    queue.resource(Warehouse)

    @queue.job("track", batch=Batch(size=2, linger=LONG))
    async def track(jobs: list[JobContext], data: list[int], warehouse: Warehouse) -> None:
        warehouse.rows.extend(data)

    await queue.add_many("track", range(4))
    await drain(queue)
    assert sorted(Warehouse.rows) == [0, 1, 2, 3]


# Time limits


async def test_the_time_limit_is_the_batchs_and_starts_with_it(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=ONCE, timeout=0.2)
    remaining: list[float | None] = []
    stopped = 0

    @queue.job("track", batch=Batch(size=10, linger=0.4))
    async def track(jobs: list[JobContext], data: list[int]) -> None:
        nonlocal stopped
        remaining.extend(job.remaining for job in jobs)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped += 1
            raise

    jobs = await queue.add_many("track", range(3))
    await drain(queue)
    assert all(left is not None and left > 0 for left in remaining)  # they lingered longer than the limit
    assert stopped == 1
    assert await statuses(jobs) == ["failed"] * 3
    for job in jobs:
        assert "time limit" in str(job.failed_reason)


async def test_the_shortest_limit_holds_for_all(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=ONCE, timeout=3600)

    @queue.job("track", batch=Batch(size=2, linger=LONG))
    async def track(jobs: list[JobContext], data: list[int]) -> None:
        await asyncio.Event().wait()

    jobs = [await queue.add("track", 0), await queue.add("track", 1, timeout=0.1)]
    await drain(queue)
    assert await statuses(jobs) == ["failed"] * 2


async def test_a_thread_that_takes_too_long_is_said_to_go_on(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=ONCE, timeout=0.1)
    release, ended = threading.Event(), threading.Event()

    @queue.job("track", batch=Batch(size=2, linger=LONG))
    def track(jobs: list[ThreadBatchJob], data: list[int]) -> None:
        release.wait(20)
        ended.set()

    jobs = await queue.add_many("track", range(2))
    await drain(queue)
    assert await statuses(jobs) == ["failed"] * 2
    assert "goes on" in str(jobs[0].failed_reason)
    release.set()
    assert await asyncio.to_thread(ended.wait, 15)


async def test_a_handler_that_cancels_itself_fails_its_jobs(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=ONCE)

    @queue.job("track", batch=Batch(size=2, linger=LONG))
    async def track(jobs: list[JobContext], data: list[int]) -> None:
        raise asyncio.CancelledError

    jobs = await queue.add_many("track", range(2))
    await drain(queue)
    assert await statuses(jobs) == ["failed"] * 2
    assert "from inside" in str(jobs[0].failed_reason)


# Stopping and losing


async def test_at_a_stop_what_is_collected_goes_back_and_what_runs_may_end(
    queue: Queue, start_worker: StartWorker
) -> None:
    gate = asyncio.Event()
    ran: list[int] = []

    @queue.job("track", batch=Batch(size=3, linger=LONG))
    async def track(jobs: list[JobContext], data: list[int]) -> None:
        ran.extend(data)
        await gate.wait()

    running = await start_worker(queue).ready()
    jobs = await queue.add_many("track", range(5))

    async def all_fetched() -> bool:
        return len(ran) == 3 and await active(queue) == 5

    await eventually(all_fetched)
    running.worker.stop()

    async def two_are_back() -> bool:
        return (await queue.counts())["waiting"] == 2

    await eventually(two_are_back)
    gate.set()
    await running.stop()
    assert len(ran) == 3
    for job in jobs:
        await job.refresh()
        expected = ("completed", 1) if job.data in ran else ("waiting", 0)
        assert (job.status, job.attempts_made) == expected


async def test_after_the_grace_time_a_running_batch_goes_back_unspent(
    queue: Queue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_GRACE_SECONDS", "0.1")
    stopped = False

    @queue.resource
    class Warehouse:
        closed = False

        def __enter__(self) -> Warehouse:
            return self

        def __exit__(self, *_: object) -> None:
            Warehouse.closed = True

    @queue.job("track", batch=Batch(size=3, linger=LONG))
    async def track(jobs: list[JobContext], data: list[int], warehouse: Warehouse) -> None:
        nonlocal stopped
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            stopped = not Warehouse.closed

    running = await start_worker(queue).ready()
    jobs = await queue.add_many("track", range(3))

    async def all_run() -> bool:
        return await active(queue) == 3

    await eventually(all_run)
    await running.stop()
    assert stopped  # before its resource was closed
    assert await statuses(jobs) == ["waiting"] * 3
    assert [job.attempts_made for job in jobs] == [0] * 3


async def test_a_job_that_loses_its_lock_leaves_the_others_alone(
    queue: Queue, start_worker: StartWorker
) -> None:
    gate, started = asyncio.Event(), asyncio.Event()

    @queue.job("track", batch=Batch(size=3, linger=LONG))
    async def track(jobs: list[JobContext], data: list[int]) -> list[int]:
        started.set()
        await gate.wait()
        return data

    running = await start_worker(queue).ready()
    jobs = await queue.add_many("track", range(3))
    async with asyncio.timeout(15):
        await started.wait()
    (feed,) = running.feeds
    feed._locks_lost({jobs[1].id: feed.locks.held[jobs[1].id]})
    await eventually(lambda: jobs[1].id not in feed.locks.held)
    gate.set()
    assert await results([jobs[0], jobs[2]]) == [0, 2]
    with pytest.raises(ResultTimeout):
        await jobs[1].result(timeout=0.1)  # whoever has its lock now says what became of it


async def test_a_job_that_is_lost_before_its_batch_has_no_place_in_it(
    queue: Queue, start_worker: StartWorker
) -> None:
    seen: list[list[int]] = []

    @queue.job("track", batch=Batch(size=3, linger=LONG))
    async def track(jobs: list[JobContext], data: list[int]) -> None:
        seen.append(data)

    running = await start_worker(queue).ready()
    lost, other = await queue.add_many("track", [0, 1])
    (feed,) = running.feeds
    await eventually(lambda: len(feed._slots.running()) == 2)
    feed._locks_lost({lost.id: feed.locks.held[lost.id]})
    await eventually(lambda: len(feed._slots.running()) == 1)
    more = await queue.add_many("track", [2, 3])
    await results([other, *more])
    assert [sorted(data) for data in seen] == [[1, 2, 3]]


async def test_a_batch_whose_jobs_are_all_lost_is_stopped(queue: Queue, start_worker: StartWorker) -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    @queue.job("track", batch=Batch(size=2, linger=LONG))
    async def track(jobs: list[BatchJob], data: list[int]) -> None:
        jobs[0].fail(Snooze(3600))
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    running = await start_worker(queue).ready()
    jobs = await queue.add_many("track", range(2))
    (feed,) = running.feeds
    async with asyncio.timeout(15):
        await started.wait()

        async def snoozed() -> bool:
            return (await jobs[0].refresh()).status == "delayed"

        await eventually(snoozed)
        assert not stopped.is_set()  # the other one still waits for it
        feed._locks_lost({jobs[1].id: feed.locks.held[jobs[1].id]})
        await stopped.wait()


async def test_a_handler_may_go_on_when_all_its_jobs_have_failed(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=ONCE)
    went_on = asyncio.Event()

    @queue.job("track", batch=Batch(size=2, linger=LONG))
    async def track(jobs: list[BatchJob], data: list[int]) -> None:
        for job in jobs:
            job.fail(ValueError("no"))
        await asyncio.sleep(0.02)
        went_on.set()

    await queue.add_many("track", range(2))
    await drain(queue)
    async with asyncio.timeout(15):
        await went_on.wait()


async def test_many_batches_lose_and_repeat_nothing(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    """Stops under load: each job runs once, or goes back as it was."""
    queue = make_queue(concurrency=2)
    ran: list[int] = []

    @queue.job("track", batch=Batch(size=20, linger=0.01))
    async def track(jobs: list[JobContext], data: list[int]) -> None:
        await asyncio.sleep(0.001)
        ran.extend(data)

    jobs = await queue.add_many("track", range(1_990))
    deadline = time.monotonic() + 30
    while len(ran) < 1_990:
        assert time.monotonic() < deadline
        running = await start_worker(queue).ready()
        enough = min(len(ran) + 300, 1_990)
        await eventually(lambda enough=enough: len(ran) >= enough)  # type: ignore[misc]  # bound now
        await running.stop()
    assert sorted(ran) == list(range(1_990))
    assert set(await statuses(jobs)) == {"completed"}
