"""Durable waits: a job leaves its worker until a signal or a time-out brings it back."""

from __future__ import annotations

import asyncio
import json
import math
from functools import partial
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Job, JobContext, Queue, Retry, SignalTimeout, ThreadJobContext
from corral.bullmq.keys import signal_key
from corral.bullmq.scripts import official
from eventually import eventually

WEEK_MS = 7 * 24 * 3_600_000


async def status(job: Job) -> str | None:
    return (await job.refresh()).status


def waits(queue: Queue, signal: str = "check-7", timeout: float = 3600) -> list[int]:
    """Declare a job that waits for a signal and returns its payload; the runs are counted in the list."""
    runs: list[int] = []

    @queue.job("build")
    async def build(job: JobContext) -> Any:
        runs.append(job.attempt)
        return await job.wait_for(signal, timeout=timeout)

    return runs


async def test_a_signal_that_came_before_is_taken_at_once(queue: Queue, redis: Redis) -> None:
    runs = waits(queue)
    assert await queue.signal("check-7", {"result": "clear"}) is False
    assert 0 < await redis.pttl(signal_key("bull", "check-7")) <= WEEK_MS
    job = await queue.add("build")
    await drain(queue)
    assert await job.result(timeout=10) == {"result": "clear"}
    assert runs == [1]


async def test_a_signal_that_comes_during_the_wait_wakes_its_job(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    runs = waits(queue)
    running = await start_worker(queue, concurrency=1).ready()
    job = await queue.add("build")
    await eventually(lambda: _is(job, "delayed"))
    (feed,) = running.feeds
    assert feed.running == 0  # it holds no slot
    assert not await redis.exists(f"{queue.keys().job(job.id)}:lock")
    assert job.attempts_made == 0  # nor is an attempt spent
    assert job.failed_reason is None
    assert await queue.signal("check-7", [1, None, "ä"]) is True
    assert await job.result(timeout=15) == [1, None, "ä"]
    assert runs == [1, 1]
    assert (await job.refresh()).attempts_made == 1


async def _is(job: Job, state: str) -> bool:
    return await status(job) == state


async def test_a_signal_that_comes_after_the_job_ended_wakes_nobody(queue: Queue) -> None:
    waits(queue)
    job = await queue.add("build")
    await queue.signal("check-7", "first")
    await drain(queue)
    assert await job.result(timeout=10) == "first"
    assert await queue.signal("check-7", "second") is False
    again = await queue.add("build")
    await drain(queue)
    assert await again.result(timeout=10) == "second"


async def test_a_signal_without_payload(queue: Queue, start_worker: StartWorker) -> None:
    waits(queue)
    start_worker(queue)
    job = await queue.add("build")
    await eventually(lambda: _is(job, "delayed"))
    assert await queue.signal("check-7")
    assert await job.result(timeout=15) is None


async def test_the_time_out_brings_the_job_back(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    runs = 0

    @queue.job("build")
    async def build(job: JobContext) -> str:
        nonlocal runs
        runs += 1
        try:
            await job.wait_for("check-7", timeout=0.1)
        except TimeoutError as error:
            return f"polled after {type(error).__name__}: {error}"
        raise AssertionError("unreachable")

    start_worker(queue)
    job = await queue.add("build")
    assert (
        await job.result(timeout=15) == "polled after SignalTimeout: Signal 'check-7' did not come in time."
    )
    assert runs == 2


async def test_a_time_out_that_is_not_caught_fails_the_attempt(
    make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    waits(queue, timeout=0.05)
    start_worker(queue)
    job = await queue.add("build")
    await eventually(lambda: _is(job, "failed"))
    assert job.failed_reason is not None
    assert "did not come in time" in job.failed_reason
    assert job.attempts_made == 1


@pytest.mark.parametrize("timeout", [0, 0.0])
async def test_no_time_at_all_is_one_look(queue: Queue, start_worker: StartWorker, timeout: float) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> str:
        try:
            return str(await job.wait_for("check-7", timeout=timeout))
        except SignalTimeout:
            return "not there"

    start_worker(queue)
    assert await (await queue.add("build")).result(timeout=15) == "not there"
    await queue.signal("check-7", "there")
    assert await (await queue.add("build")).result(timeout=15) == "there"


async def test_a_poll_that_waits_again_and_again(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    """The KYC job's fallback: a wait, a poll, a longer wait, found again by checkpoints."""
    queue = make_queue(retry=Retry(attempts=1))
    runs = 0

    @queue.job("build")
    async def build(job: JobContext) -> int:
        nonlocal runs
        runs += 1
        while True:
            polls: int = job.checkpoints.get("polls", 0)
            try:
                return int(await job.wait_for("check-7", timeout=0.02 * (1 << polls)))
            except SignalTimeout:
                await job.checkpoint({"polls": polls + 1})
                if polls + 1 == 4:
                    return polls + 1

    start_worker(queue)
    job = await queue.add("build")
    assert await job.result(timeout=15) == 4
    assert runs == 5


async def test_a_signal_that_comes_between_the_look_and_the_wait_is_not_lost(
    queue: Queue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = waits(queue)
    running = await start_worker(queue).ready()
    (feed,) = running.feeds
    look = feed._consumer.signal_payload

    async def late_look(signal: str) -> Any:
        found = await look(signal)
        if found[0] is None:
            assert await queue.signal(signal, "in between") is False
        return found

    monkeypatch.setattr(feed._consumer, "signal_payload", late_look)
    job = await queue.add("build")
    assert await job.result(timeout=15) == "in between"
    assert runs == [1, 1]


async def test_all_jobs_that_wait_for_a_signal_are_woken(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    """An approval that several jobs wait for, in two queues."""
    queues = [make_queue(retry=Retry(attempts=1)) for _ in range(2)]
    for queue in queues:

        @queue.job("build")
        async def build(job: JobContext, data: int) -> Any:
            return await job.wait_for("approval", timeout=data)

    start_worker(*queues)
    jobs = [await queue.add("build", seconds) for queue in queues for seconds in (3600, 60, 900)]
    for job in jobs:
        await eventually(partial(_is, job, "delayed"))
    ttl = await redis.pttl(signal_key(queues[0].keys().prefix, "approval"))
    assert ttl > 3_600_000  # the longest wait's
    assert await queues[0].signal("approval", "granted") is True
    assert [await job.result(timeout=15) for job in jobs] == ["granted"] * 6
    assert {(await job.refresh()).attempts_made for job in jobs} == {1}


async def test_signals_race_with_waits_and_none_is_lost(
    make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    queue = make_queue(retry=Retry(attempts=1))

    @queue.job("build")
    async def build(job: JobContext, data: int) -> Any:
        return await job.wait_for(f"check-{data}", timeout=3600)

    for name in ("first", "second"):
        start_worker(queue, concurrency=20, name=name)
    jobs = await queue.add_many("build", range(300))
    for number in range(300):
        await queue.signal(f"check-{number}", number)
    assert [await job.result(timeout=20) for job in jobs] == list(range(300))
    assert {(await job.refresh()).attempts_made for job in jobs} == {1}


async def promote(queue: Queue, job: Job) -> None:
    """Bring a delayed job forward by hand, as a dashboard does."""
    keys = queue.keys()
    await official("promote")(
        queue._bind().client,
        [keys.delayed, keys.wait, keys.paused, keys.meta, keys.prioritized, keys.active, keys.pc, keys.events,
         keys.marker],
        keys.base,
        job.id,
    )  # fmt: skip


async def test_a_job_that_is_promoted_by_hand_waits_on(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    """For the rest of its time, with the same signal; the time-out does not start anew."""
    runs = waits(queue)
    start_worker(queue)
    job = await queue.add("build")
    await eventually(lambda: _is(job, "delayed"))
    until = json.loads(await redis.hget(queue.keys().job(job.id), "corral:wait"))["until"]
    await promote(queue, job)
    await eventually(lambda: len(runs) == 2)
    await eventually(lambda: _is(job, "delayed"))
    assert json.loads(await redis.hget(queue.keys().job(job.id), "corral:wait"))["until"] == until
    assert await queue.signal("check-7", "still heard") is True
    assert await job.result(timeout=15) == "still heard"


async def test_checkpoints_are_kept_over_a_wait(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    submitted = 0

    @queue.job("build")
    async def build(job: JobContext) -> dict[str, Any]:
        nonlocal submitted
        if "check" not in job.checkpoints:
            submitted += 1
            await job.checkpoint({"check": "check-7"})
        report = await job.wait_for(job.checkpoints["check"], timeout=3600)
        return job.checkpoints | {"report": report}

    start_worker(queue)
    job = await queue.add("build")
    await eventually(lambda: _is(job, "delayed"))
    await queue.signal("check-7", "clear")
    assert await job.result(timeout=15) == {"check": "check-7", "report": "clear"}
    assert submitted == 1


async def test_two_signals_one_after_the_other(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=Retry(attempts=1))

    @queue.job("build")
    async def build(job: JobContext) -> list[Any]:
        first = await job.wait_for("first", timeout=3600)
        second = await job.wait_for("second", timeout=3600)
        return [first, second]

    start_worker(queue)
    job = await queue.add("build")
    await eventually(lambda: _is(job, "delayed"))
    assert await queue.signal("first", 1) is True

    async def waits_for_second() -> bool:
        return await queue.signal("nobody's") is False and await _is(job, "delayed")

    await eventually(waits_for_second)
    assert await queue.signal("second", 2) is True
    assert await job.result(timeout=15) == [1, 2]


@pytest.mark.parametrize("priority", [0, 5])
async def test_a_signal_wakes_its_job_in_front_of_its_equals(queue: Queue, priority: int) -> None:
    order: list[Any] = []

    @queue.job("build")
    async def build(job: JobContext, data: Any) -> None:
        if data == "waits":
            await job.wait_for("check-7", timeout=3600)
        order.append(data)

    job = await queue.add("build", "waits", priority=priority)
    await drain(queue)
    assert await status(job) == "delayed"
    await queue.add_many("build", range(3), priority=priority)
    await queue.signal("check-7")
    await drain(queue, concurrency=1)
    assert order == ["waits", 0, 1, 2]


async def test_a_signal_on_a_paused_queue_waits_for_its_end(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    waits(queue)
    job = await queue.add("build")
    await drain(queue)
    await redis.hset(queue.keys().meta, "paused", 1)
    await redis.delete(queue.keys().marker)
    assert await queue.signal("check-7", 1) is True
    assert await status(job) == "waiting"
    assert not await redis.exists(queue.keys().marker)
    await redis.hdel(queue.keys().meta, "paused")
    await drain(queue)
    assert await job.result(timeout=10) == 1


async def test_any_queue_can_send_a_signal(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue, other = make_queue(), make_queue()
    waits(queue)
    start_worker(queue)
    job = await queue.add("build")
    await eventually(lambda: _is(job, "delayed"))
    assert await other.signal("check-7", 1) is True
    assert await job.result(timeout=15) == 1


async def test_prefixes_do_not_hear_each_other(make_queue: MakeQueue) -> None:
    queue, other = make_queue(), make_queue(prefix="other")
    waits(queue)
    job = await queue.add("build")
    await drain(queue)
    assert await other.signal("check-7", 1) is False
    assert await status(job) == "delayed"
    assert await queue.signal("check-7", 1) is True


async def test_a_wait_in_a_thread(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=Retry(attempts=1))

    @queue.job("build")
    def build(job: ThreadJobContext) -> Any:
        return job.wait_for("check-7", timeout=3600)

    start_worker(queue)
    job = await queue.add("build")
    await eventually(lambda: _is(job, "delayed"))
    await queue.signal("check-7", 1)
    assert await job.result(timeout=15) == 1


async def test_a_broad_except_does_not_keep_the_wait(
    make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    cleaned: list[str] = []

    @queue.job("build")
    async def build(job: JobContext) -> Any:
        try:
            return await job.wait_for("check-7", timeout=3600)
        except Exception:
            return "swallowed"
        finally:
            cleaned.append("up")

    start_worker(queue)
    job = await queue.add("build")
    await eventually(lambda: _is(job, "delayed"))
    await queue.signal("check-7", 1)
    assert await job.result(timeout=15) == 1
    assert cleaned == ["up", "up"]


@pytest.mark.parametrize("gathered", ["gather", "task group", "timeout"])
async def test_a_wait_may_stand_inside_other_constructs(
    make_queue: MakeQueue, start_worker: StartWorker, gathered: str
) -> None:
    queue = make_queue(retry=Retry(attempts=1))

    @queue.job("build")
    async def build(job: JobContext) -> Any:
        if gathered == "gather":
            return (await asyncio.gather(job.wait_for("check-7", timeout=3600)))[0]
        if gathered == "timeout":
            async with asyncio.timeout(60):
                return await job.wait_for("check-7", timeout=3600)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(job.wait_for("check-7", timeout=3600))
        return task.result()

    start_worker(queue)
    job = await queue.add("build")
    await eventually(lambda: _is(job, "delayed"))
    await queue.signal("check-7", 1)
    assert await job.result(timeout=15) == 1


@pytest.mark.parametrize(
    ("signal", "timeout"),
    [("", 5), ("check-7", -1), ("check-7", math.nan), ("check-7", math.inf), ("check-7", 1e18)],
)
async def test_a_wait_that_makes_no_sense_is_refused(
    make_queue: MakeQueue, signal: str, timeout: float
) -> None:
    queue = make_queue(retry=Retry(attempts=1))

    @queue.job("build")
    async def build(job: JobContext) -> Any:
        return await job.wait_for(signal, timeout=timeout)

    job = await queue.add("build")
    await drain(queue)
    assert await status(job) == "failed"
    assert job.failed_reason is not None
    assert "wait_for" in job.failed_reason


async def test_the_longest_wait_is_kept_in_redis(queue: Queue, redis: Redis) -> None:
    waits(queue, timeout=30 * 24 * 3600.0)
    job = await queue.add("build")
    await drain(queue)
    assert await status(job) == "delayed"
    assert await redis.pttl(signal_key("bull", "check-7")) > 30 * 24 * 3_600_000


async def test_a_late_signal_does_not_cut_a_later_wait_short(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    """The job gave up on it and waits for its retry; that delay is a promise to whatever is failing."""
    queue = make_queue(retry=Retry(attempts=2, delays=(3600,)))
    waits(queue, timeout=0.05)
    start_worker(queue)
    job = await queue.add("build")

    async def retry_waits() -> bool:
        return await _is(job, "delayed") and job.attempts_made == 1

    await eventually(retry_waits)
    assert await queue.signal("check-7", "late") is False
    assert await status(job) == "delayed"
