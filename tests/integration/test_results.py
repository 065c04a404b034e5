"""Waiting for a job's result: however it ends, whenever it ended, and whoever else waits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec
import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import JobContext, JobFailed, Queue, ResultTimeout, Retry, Unrecoverable
from corral import results as results_module
from corral.errors import InvalidData, JobNotFound
from eventually import eventually


@dataclass
class Report:
    pages: int


@pytest.fixture
async def echo(make_queue: MakeQueue) -> Queue:
    """A queue whose job returns its data, or fails with it."""
    queue = make_queue(retry=Retry(attempts=1))

    @queue.job("build")
    async def build(job: JobContext, data: dict[str, str]) -> dict[str, str]:
        if "fail" in data:
            raise ValueError(data["fail"])
        return data

    return queue


async def test_a_value(echo: Queue, start_worker: StartWorker) -> None:
    start_worker(echo)
    job = await echo.add("build", {"a": "ä"})
    assert await job.result(timeout=15) == {"a": "ä"}


async def test_a_typed_value(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue()

    @queue.job("build")
    async def build(job: JobContext, data: int) -> list[Report]:
        return [Report(data)]

    @queue.job("nothing")
    async def nothing(job: JobContext) -> None: ...

    start_worker(queue)
    assert await (await queue.add("build", 7)).result(timeout=15) == [Report(7)]
    assert await (await queue.add("nothing")).result(timeout=15) is None


async def test_a_value_of_another_type_than_declared_is_said(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue()

    @queue.job("build")
    async def build(job: JobContext, data: int) -> Report:
        return {"pages": "seven"}  # type: ignore[return-value]  # the point of the test

    job = await queue.add("build", 7)
    await drain(queue)
    with pytest.raises(InvalidData, match="pages"):
        await job.result(timeout=15)


async def test_a_failed_job(echo: Queue, start_worker: StartWorker) -> None:
    start_worker(echo)
    job = await echo.add("build", {"fail": "boom"})
    with pytest.raises(JobFailed, match=rf"{job.id}.*boom"):
        await job.result(timeout=15)


async def test_an_attempt_that_fails_is_not_the_end(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=Retry(attempts=3, backoff="fixed", delay=0.05))

    @queue.job("build")
    async def build(job: JobContext) -> int:
        if job.attempt < 3:
            raise ValueError("not yet")
        return job.attempt

    start_worker(queue)
    assert await (await queue.add("build")).result(timeout=15) == 3


async def test_a_job_that_ended_before_the_call(echo: Queue) -> None:
    good, bad = await echo.add("build", {"a": "1"}), await echo.add("build", {"fail": "boom"})
    await drain(echo)
    assert await good.result(timeout=15) == {"a": "1"}
    with pytest.raises(JobFailed, match="boom"):
        await bad.result(timeout=15)


@pytest.mark.parametrize("when", ["before", "during"])
async def test_a_job_that_is_removed_when_it_ends_still_has_its_result(
    echo: Queue, start_worker: StartWorker, redis: Redis, when: str
) -> None:
    good = await echo.add("build", {"a": "1"}, remove_on_complete=True)
    bad = await echo.add("build", {"fail": "boom"}, remove_on_fail=True)
    if when == "before":
        await drain(echo)
        assert await redis.exists(echo.keys().job(good.id), echo.keys().job(bad.id)) == 0
    waits = asyncio.gather(good.result(timeout=15), bad.result(timeout=15), return_exceptions=True)
    if when == "during":
        await eventually(lambda: len(echo._bind().results._waiting) == 2)
        start_worker(echo)
    value, error = await waits
    assert value == {"a": "1"}
    assert isinstance(error, JobFailed)
    assert await redis.exists(echo.keys().job(good.id)) == 0


async def test_a_job_that_takes_too_long_goes_on(queue: Queue, start_worker: StartWorker) -> None:
    gate = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext) -> int:
        await gate.wait()
        return 7

    start_worker(queue)
    job = await queue.add("build")
    with pytest.raises(ResultTimeout, match=job.id):
        await job.result(timeout=0.1)
    with pytest.raises(TimeoutError):  # a time-out like any other
        await job.result(timeout=0)
    gate.set()
    assert await job.result(timeout=15) == 7


async def test_a_job_that_never_was(queue: Queue, redis: Redis) -> None:
    job = await queue.add("build", 1)
    await redis.flushall()
    with pytest.raises(JobNotFound, match=job.id):
        await job.result(timeout=15)


async def test_many_wait_with_one_reader(
    echo: Queue, start_worker: StartWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_module, "LOOK_SECONDS", 60.0)  # only events can tell in time
    jobs = await echo.add_many("build", [{"n": str(n)} for n in range(300)])
    waits = asyncio.gather(*(job.result(timeout=30) for job in jobs for _ in range(2)))
    await eventually(lambda: len(echo._bind().results._waiting) == 300)
    blocked = [c for c in await redis.client_list() if c["cmd"] == "xread"]
    assert len(blocked) <= 1
    start_worker(echo)
    values = await waits
    assert values == [{"n": str(n)} for n in range(300) for _ in range(2)]
    assert not echo._bind().results._waiting


async def test_the_reader_ends_when_nobody_waits(
    echo: Queue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_module, "BLOCK_MS", 50)
    running = start_worker(echo)
    assert await (await echo.add("build", {"a": "1"})).result(timeout=15)
    results = echo._bind().results
    await eventually(lambda: results._reader is not None and results._reader.done())
    assert await (await echo.add("build", {"a": "2"})).result(timeout=15) == {"a": "2"}
    await running.stop()


async def test_an_event_that_was_missed_is_made_up_for_by_a_look(
    echo: Queue, start_worker: StartWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream is trimmed, and a reader may be away while it is."""
    monkeypatch.setattr(results_module, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(results_module.Results, "_deliver", lambda *_: None)
    job = await echo.add("build", {"a": "1"})
    wait = asyncio.create_task(job.result(timeout=15))
    await eventually(lambda: echo._bind().results._waiting)
    start_worker(echo)
    assert await wait == {"a": "1"}


async def test_the_reader_survives_a_lost_connection(
    echo: Queue, start_worker: StartWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_module, "RETRY_SECONDS", 0.01)
    job = await echo.add("build", {"a": "1"})
    wait = asyncio.create_task(job.result(timeout=15))

    async def blocked() -> list[str]:
        return [c["id"] for c in await redis.client_list() if c["cmd"] == "xread"]

    for _ in range(3):
        (client_id,) = await eventually(blocked)
        await redis.client_kill_filter(_id=client_id)
    start_worker(echo)
    assert await wait == {"a": "1"}


async def test_a_wait_that_is_cancelled_leaves_nothing(echo: Queue) -> None:
    job = await echo.add("build", {"a": "1"})
    waits = [asyncio.create_task(job.result(timeout=15)) for _ in range(3)]
    await eventually(lambda: len(echo._bind().results._waiting.get(job.id, ())) == 3)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    assert not echo._bind().results._waiting


async def test_closing_the_queue_ends_its_reader(echo: Queue) -> None:
    job = await echo.add("build", {"a": "1"})
    with pytest.raises(ResultTimeout):
        await job.result(timeout=0.05)
    reader = echo._bind().results._reader
    await echo.close()
    assert reader is not None
    assert reader.done()


async def test_a_result_of_the_largest_size(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue()

    @queue.job("build")
    async def build(job: JobContext) -> str:
        return "x" * 1_000_000

    start_worker(queue)
    assert len(await (await queue.add("build")).result(timeout=15)) == 1_000_000


async def test_a_result_that_json_cannot_hold_fails_at_once(make_queue: MakeQueue) -> None:
    """The work is done; doing it twice more would end the same way."""
    queue = make_queue(retry=Retry(attempts=3, backoff="fixed", delay=0))
    runs = 0

    @queue.job("build")
    async def build(job: JobContext) -> object:
        nonlocal runs
        runs += 1
        return object()

    job = await queue.add("build")
    await drain(queue)
    assert runs == 1
    with pytest.raises(JobFailed, match="return value"):
        await job.result(timeout=15)


async def test_unrecoverable_ends_the_wait(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=Retry(attempts=10, delay=60))

    class Shape(msgspec.Struct):
        sides: int

    @queue.job("build")
    async def build(job: JobContext, data: Shape) -> None:
        raise Unrecoverable("no such shape")

    start_worker(queue)
    with pytest.raises(JobFailed, match="no such shape"):
        await (await queue.add("build", Shape(2))).result(timeout=15)
