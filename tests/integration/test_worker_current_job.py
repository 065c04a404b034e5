"""`current_job()`: the right job, wherever it is asked for, and never the next one of the slot."""

from __future__ import annotations

import asyncio
import io
import json
import time
from typing import Any

import pytest
import structlog
from running_worker import MakeQueue, drain

from corral import Batch, JobContext, Queue, ThreadJobContext, current_job
from corral.observe.logs import configure_logs


def current_id() -> str | None:
    job = current_job()
    return None if job is None else job.id


async def test_below_the_handler_in_its_tasks_and_threads(queue: Queue) -> None:
    async def deep() -> str | None:
        await asyncio.sleep(0)
        return current_id()

    @queue.job("build")
    async def build(job: JobContext) -> list[Any]:
        assert current_job() is job
        return [current_id(), *await asyncio.gather(deep(), deep(), asyncio.to_thread(current_id))]

    jobs = await queue.add_many("build", [None] * 20)
    await drain(queue, concurrency=10)
    for job in jobs:
        assert await job.result(timeout=10) == [job.id] * 4
    assert current_job() is None


async def test_in_a_thread_it_is_what_the_handler_got(queue: Queue) -> None:
    @queue.job("build")
    def build(job: ThreadJobContext) -> str | None:
        assert current_job() is job
        return current_id()

    job = await queue.add("build")
    await drain(queue)
    assert await job.result(timeout=10) == job.id


@pytest.mark.parametrize("waits", [False, True])
async def test_a_task_left_behind_keeps_its_own_job(queue: Queue, waits: bool) -> None:
    """One slot runs all of them, one after the other."""
    left: dict[str, asyncio.Task[list[str | None]]] = {}
    all_ran = asyncio.Event()

    async def straggler() -> list[str | None]:
        first = current_id()
        await all_ran.wait()
        return [first, current_id()]

    @queue.job("build")
    async def build(job: JobContext) -> None:
        left[job.id] = asyncio.create_task(straggler())
        if waits:
            await asyncio.sleep(0)
        if len(left) == 5:
            all_ran.set()

    await queue.add_many("build", [None] * 5)
    await drain(queue, concurrency=1)
    assert len(left) == 5
    for job_id, task in left.items():
        assert await task == [job_id, job_id]


async def test_log_lines_of_a_handler_name_the_job(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.StringIO()
    before = structlog.get_config()
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", written)
        configure_logs(json=True)
    log = structlog.get_logger("app")
    queue = make_queue()

    @queue.job("build")
    async def build(job: JobContext) -> None:
        log.info("in_the_loop")

    @queue.job("press")
    def press(job: ThreadJobContext) -> None:
        log.info("in_a_thread")

    try:
        built, pressed = await queue.add("build"), await queue.add("press")
        await drain(queue)
        log.info("afterwards")
    finally:
        structlog.configure(**before)
    lines = {line["event"]: line for line in map(json.loads, written.getvalue().splitlines())}
    for event, job in (("in_the_loop", built), ("in_a_thread", pressed)):
        assert (lines[event]["queue"], lines[event]["job"], lines[event]["attempt"]) == (
            queue.name,
            job.id,
            1,
        )
    assert "job" not in lines["afterwards"]


async def test_in_a_batch_there_is_none_and_its_lines_name_the_queue(queue: Queue) -> None:
    seen: list[Any] = []

    @queue.job("track", batch=Batch(size=2, linger=5))
    async def track(jobs: list[JobContext], data: list[int]) -> None:
        seen.extend([current_job(), structlog.contextvars.get_contextvars()])

    await queue.add_many("track", [1, 2])
    await drain(queue)
    assert seen == [None, {"queue": queue.name, "batch": 2}]


async def test_the_time_that_is_left(make_queue: MakeQueue) -> None:
    queue, endless = make_queue(timeout=60), make_queue()
    for each in (queue, endless):

        @each.job("build")
        async def build(job: JobContext) -> float | None:
            before = job.remaining
            assert before is None or before <= 60
            job.deadline = time.time() - 5 if job.deadline else None
            assert job.remaining in (0.0, None)
            return before

        @each.job("press")
        def press(job: ThreadJobContext) -> float | None:
            return job.remaining

    limited = [await queue.add("build"), await queue.add("press")]
    unlimited = [await endless.add("build"), await endless.add("press")]
    await drain(queue, endless)
    for job in limited:
        assert 0 < await job.result(timeout=10) <= 60
    assert [await job.result(timeout=10) for job in unlimited] == [None, None]
