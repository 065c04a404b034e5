"""Input that nobody could have expected: it costs its own job, never the worker, and no byte is lost."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import pydantic
import pytest
import redis.asyncio as aioredis
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import JobContext, Queue, Retry, RetryAfter, Snooze, ThreadJobContext
from eventually import eventually

AT_ONCE = Retry(attempts=3, backoff="fixed", delay=0)


# Data


class Strict(pydantic.BaseModel):
    number: int


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"number":"x"}', "number"),
        (b"{}", "number"),
        (b"{oops", "JSON"),
        (b"", "JSON"),
        (b"\xff\xfe\x00", "JSON"),
        (b"[" * 5_000, "JSON"),
    ],
    ids=["type", "missing", "json", "empty", "binary", "deep"],
)
async def test_bad_data_is_dead_at_once_with_its_bytes_intact(
    make_queue: MakeQueue, redis_url: str, raw: bytes, reason: str
) -> None:
    queue = make_queue(retry=AT_ONCE)
    ran = False

    @queue.job("build")
    async def build(job: JobContext, data: Strict) -> None:
        nonlocal ran
        ran = True

    job = await queue.add("build", Strict(number=1))
    async with aioredis.Redis.from_url(redis_url) as client:
        await client.hset(queue.keys().job(job.id), "data", raw)
        await drain(queue)
        await job.refresh()
        assert not ran
        assert (job.status, job.attempts_made) == ("failed", 1)
        assert job.failed_reason is not None
        assert reason in job.failed_reason
        assert await client.hget(queue.keys().job(job.id), "data") == raw
    assert job.raw_data == raw


async def test_undeclared_data_that_is_no_json_is_dead_too(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=AT_ONCE)

    @queue.job("build")
    async def build(job: JobContext, data: Any) -> None: ...

    job = await queue.add("build", 1)
    await redis.hset(queue.keys().job(job.id), "data", "{oops")
    await drain(queue)
    await job.refresh()
    assert (job.status, job.raw_data) == ("failed", b"{oops")


async def test_a_job_without_data_reads_as_null(queue: Queue, redis: Redis) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: int | None) -> bool:
        return data is None

    job = await queue.add("build", 1)
    await redis.hdel(queue.keys().job(job.id), "data")
    await drain(queue)
    assert await job.result(timeout=10) is True


async def test_a_job_that_was_removed_while_it_waited(queue: Queue, redis: Redis) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: int) -> None: ...

    gone, there = await queue.add_many("build", [1, 2])
    await redis.delete(queue.keys().job(gone.id))
    await drain(queue)
    assert (await there.refresh()).status == "completed"
    assert await redis.exists(queue.keys().job(gone.id), queue.keys().active) == 0


async def test_a_job_that_is_removed_while_it_runs(queue: Queue, redis: Redis) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: str) -> None:
        keys = queue.keys()
        await redis.delete(keys.job(job.id), f"{keys.job(job.id)}:lock")
        await redis.lrem(keys.active, 0, job.id)
        if data == "fail":
            raise ValueError("boom")

    await queue.add_many("build", ["complete", "fail"])
    await drain(queue)
    assert set((await queue.counts()).values()) == {0}
    assert await redis.keys(f"{queue.keys().base}[0-9]*") == []


# What nobody expects


class OwnExit(BaseException):
    pass


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def bottomless() -> None:
    bottomless()


def raises(error: BaseException) -> Callable[[], None]:
    def run() -> None:
        raise error

    return run


ODD_ENDS: dict[str, Callable[[], Any]] = {
    "sys.exit": lambda: sys.exit(3),
    "own BaseException": raises(OwnExit("bye")),
    "stop iteration": raises(StopIteration(1)),
    "stop async iteration": raises(StopAsyncIteration()),
    "cancelled": raises(asyncio.CancelledError()),
    "group": raises(BaseExceptionGroup("several", [OwnExit(), ValueError("x")])),
    "no words": raises(Wordless()),
    "lone surrogates": raises(ValueError("file \udcff")),
    "snooze for ever": raises(Snooze(math.inf)),
    "retry after for ever": raises(RetryAfter(math.inf)),
    "retry after ages": raises(RetryAfter(1e300)),
    "long words": raises(ValueError("x" * 5_000_000)),
    "deep recursion": bottomless,
    "unwritable result": object,
    "surrogates in a result": lambda: "file \udcff",
}


@pytest.mark.parametrize("isolation", ["at once", "after waiting", "thread"])
async def test_no_end_of_a_handler_takes_the_worker_with_it(
    make_queue: MakeQueue, start_worker: StartWorker, isolation: str
) -> None:
    """Whatever a handler ends with costs its own job an attempt, and nothing else."""
    queue = make_queue(retry=Retry(attempts=2, delays=(3600,)))

    async def at_once(job: JobContext, data: str) -> Any:
        return ODD_ENDS[data]()

    async def after_waiting(job: JobContext, data: str) -> Any:
        await job.log("x")
        await asyncio.sleep(0)
        return ODD_ENDS[data]()

    def thread(job: ThreadJobContext, data: str) -> Any:
        return ODD_ENDS[data]()

    handlers: dict[str, Any] = {"at once": at_once, "after waiting": after_waiting, "thread": thread}
    queue.job("odd")(handlers[isolation])

    @queue.job("good")
    async def good(job: JobContext, data: int) -> int:
        return data

    running = await start_worker(queue, concurrency=4).ready()
    odd = [await queue.add("odd", end) for end in ODD_ENDS]
    good_jobs = await queue.add_many("good", range(20))
    assert [await job.result(timeout=20) for job in good_jobs] == list(range(20))

    async def all_put_away() -> bool:
        counts = await queue.counts()
        return counts["delayed"] + counts["failed"] == len(odd) and not counts["active"]

    await eventually(all_put_away)
    assert not running.task.done()
    ends = {}
    for end, job in zip(ODD_ENDS, odd, strict=True):
        await job.refresh()
        ends[end] = (job.status, job.attempts_made, bool(job.failed_reason))
    dead = ("failed", 1, True)
    assert ends == dict.fromkeys(ODD_ENDS, ("delayed", 1, True)) | {
        "snooze for ever": ("delayed", 0, False),
        "unwritable result": dead,
        "surrogates in a result": dead,
    }


HOSTILE_OPTIONS: list[Any] = [
    {"attempts": 1e300, "backoff": {"type": "fixed", "delay": 3_600_000}},
    {"attempts": 10**30, "backoff": 3_600_000},
    {"attempts": 3, "backoff": {"type": "fixed", "delay": 1e300, "maxDelay": 1e300}},
    {"attempts": 3, "backoff": {"type": "exponential", "delay": -5, "jitter": "x"}, "timeout": -1},
    {"attempts": "many", "removeOnComplete": "yes", "removeOnFail": {"count": "x", "age": "y"}},
    {"removeOnComplete": 1e300, "removeOnFail": 1e300},
    {"removeOnComplete": {"count": 1e300, "age": 1e300}, "removeOnFail": {"age": -1}},
    {"timeout": 1e300},
    {"kl": 1e300},
    {"kl": -1},
    {"backoff": [], "lifo": "x", "attempts": [1]},
    "no object",
]


async def test_no_options_of_a_producer_take_the_worker_with_them(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: dict[str, int]) -> None:
        await job.log("x")
        if data["fail"]:
            raise ValueError("boom")

    jobs = []
    await redis.hset(queue.keys().meta, "paused", 1)
    for opts in HOSTILE_OPTIONS:
        for data in ({"fail": 0}, {"fail": 1}, {"bad data": 1}):
            job = await queue.add("build", data)
            await redis.hset(queue.keys().job(job.id), "opts", json.dumps(opts))
            jobs.append(job)
    await redis.hdel(queue.keys().meta, "paused")
    running = start_worker(queue)

    async def all_put_away() -> bool:
        counts = await queue.counts()
        return not counts["waiting"] and not counts["active"]

    await eventually(all_put_away)
    assert not running.task.done()
    counts = await queue.counts()
    assert counts["completed"] + counts["failed"] + counts["delayed"] == len(jobs)
    for job in jobs:
        await job.refresh()
        assert (job.status == "completed") == (job.data == {"fail": 0}), job.failed_reason


ODD_FIELDS = [
    "atm",
    "ats",
    "stc",
    "priority",
    "timestamp",
    "stacktrace",
    "corral:unknown",
    "corral:checkpoint",
]


@pytest.mark.parametrize("end", ["completes", "fails", "snoozes"])
async def test_odd_numbers_in_a_hash_cost_no_other_job(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis, end: str
) -> None:
    """A script that broke on one of them would take the whole batch with it."""
    queue = make_queue(retry=Retry(attempts=2, delays=(3600,)))

    @queue.job("build")
    async def build(job: JobContext, data: str) -> str:
        if data == "fails":
            raise ValueError("boom")
        if data == "snoozes":
            raise Snooze(3600)
        return data

    await redis.hset(queue.keys().meta, "paused", 1)
    odd = [await queue.add("build", end) for _ in ODD_FIELDS]
    for job, field in zip(odd, ODD_FIELDS, strict=True):
        await redis.hset(queue.keys().job(job.id), field, "nonsense")
    good = await queue.add_many("build", ["good"] * 10)
    await redis.hdel(queue.keys().meta, "paused")
    running = start_worker(queue)
    assert [await job.result(timeout=15) for job in good] == ["good"] * 10

    async def put_away() -> bool:
        counts = await queue.counts()
        return counts["completed"] + counts["failed"] + counts["delayed"] == len(odd) + 10

    await eventually(put_away)
    assert not running.task.done()
