"""Middleware around jobs: outermost first, it sees the result and what went wrong, and can change both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from running_worker import MakeQueue, drain

from corral import (
    Batch,
    JobContext,
    Queue,
    Retry,
    Snooze,
    ThreadJobContext,
    Unrecoverable,
    Worker,
    current_job,
)

Run = Callable[[], Awaitable[Any]]


@pytest.fixture
def told() -> list[str]:
    return []


def telling(told: list[str], name: str) -> Any:
    async def middleware(job: JobContext, run: Run) -> Any:
        told.append(f"{name} before {job.name}")
        result = await run()
        told.append(f"{name} after {result}")
        return result

    return middleware


async def test_the_workers_then_the_queues_in_the_order_of_declaration(
    make_queue: MakeQueue, told: list[str]
) -> None:
    queue, bare = make_queue(), make_queue()
    queue.middleware(telling(told, "first"))
    queue.middleware(telling(told, "second"))

    @queue.job("build")
    async def build(job: JobContext, data: int) -> int:
        told.append("handler")
        return data

    @bare.job("bare")
    async def bare_handler(job: JobContext) -> None: ...

    await queue.add("build", 7)
    await Worker(queue, bare, middleware=[telling(told, "worker")]).run(until_empty=True)
    assert told == [
        "worker before build", "first before build", "second before build", "handler",
        "second after 7", "first after 7", "worker after 7",
    ]  # fmt: skip
    told.clear()
    await bare.add("bare")
    await Worker(queue, bare, middleware=[telling(told, "worker")]).run(until_empty=True)
    assert told == ["worker before bare", "worker after None"]


async def test_it_runs_in_the_loop_for_threads_too(queue: Queue) -> None:
    tasks: list[Any] = []

    @queue.middleware
    async def timing(job: JobContext, run: Run) -> Any:
        tasks.append(asyncio.current_task())
        assert current_job() is job
        return await run() + 1

    @queue.job("build")
    def build(job: ThreadJobContext, data: int) -> int:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        assert current_job() is job
        return data

    job = await queue.add("build", 7)
    await drain(queue)
    assert await job.result(timeout=10) == 8
    assert len(tasks) == 1


async def test_it_sees_what_the_handler_raised(make_queue: MakeQueue, told: list[str]) -> None:
    queue = make_queue(retry=Retry(attempts=1))

    @queue.middleware
    async def reports(job: JobContext, run: Run) -> Any:
        try:
            return await run()
        except LookupError as error:
            raise Unrecoverable("turned into another") from error
        except ValueError as error:
            told.append(str(error))
            return "instead"

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        raise (ValueError, KeyError)[data]("broken")

    swallowed, turned = await queue.add("build", 0), await queue.add("build", 1)
    await drain(queue)
    assert told == ["broken"]
    assert await swallowed.result(timeout=10) == "instead"
    assert (await turned.refresh()).failed_reason == "turned into another"


async def test_it_may_run_no_handler_at_all_or_steer_the_job(make_queue: MakeQueue) -> None:
    queue = make_queue()
    ran: list[int] = []

    @queue.middleware
    async def gate(job: JobContext, run: Run) -> Any:
        if job.data == 1:
            return "cached"
        if job.data == 2:
            raise Snooze(3600)
        return await run()

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        ran.append(data)

    jobs = await queue.add_many("build", range(3))
    await drain(queue)
    assert ran == [0]
    assert await jobs[1].result(timeout=10) == "cached"
    assert (await jobs[2].refresh()).status == "delayed"
    assert jobs[2].attempts_made == 0


async def test_a_durable_wait_passes_through(queue: Queue, told: list[str]) -> None:
    """It leaves the handler as no Exception, so that no `except` on the way keeps it."""

    @queue.middleware
    async def careless(job: JobContext, run: Run) -> Any:
        try:
            return await run()
        except Exception as error:
            told.append(type(error).__name__)

    @queue.job("build")
    async def build(job: JobContext) -> Any:
        return await job.wait_for("check-7", timeout=60)

    job = await queue.add("build")
    await drain(queue)
    assert (await job.refresh()).status == "delayed"
    await queue.signal("check-7", {"ok": True})
    await drain(queue)
    assert await job.result(timeout=10) == {"ok": True}
    assert told == []


async def test_its_time_counts_and_it_is_stopped_with_the_job(make_queue: MakeQueue, told: list[str]) -> None:
    queue = make_queue(retry=Retry(attempts=1), timeout=0.1)

    @queue.middleware
    async def slow(job: JobContext, run: Run) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("stopped")
            raise

    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    job = await queue.add("build")
    await drain(queue)
    assert told == ["stopped"]
    assert "time limit" in str((await job.refresh()).failed_reason)


async def test_it_gets_resources(queue: Queue) -> None:
    class Tracer:
        spans: list[str] = []  # noqa: RUF012  # one tracer

    @queue.resource
    def tracer() -> Tracer:
        return Tracer()

    @queue.middleware
    async def traced(job: JobContext, run: Run, tracer: Tracer) -> Any:
        tracer.spans.append(job.name)
        return await run()

    @queue.job("build")
    async def build(job: JobContext, *, tracer: Tracer) -> list[str]:
        return tracer.spans

    job = await queue.add("build")
    await drain(queue)
    assert await job.result(timeout=10) == ["build"]


async def test_it_goes_around_each_job_of_a_batch(queue: Queue, told: list[str]) -> None:
    queue.middleware(telling(told, "m"))

    @queue.job("track", batch=Batch(size=2, linger=5))
    async def track(jobs: list[JobContext], data: list[int]) -> list[int]:
        told.append("batch")
        return data

    await queue.add_many("track", [1, 2])
    await drain(queue)
    assert told == ["m before track", "m before track", "batch", "m after 1", "m after 2"]
