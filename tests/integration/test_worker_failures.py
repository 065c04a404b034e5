"""What becomes of jobs that fail: retries, dead letters, and input that nobody could have expected."""

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

from corral import Job, JobContext, Queue, Retry, RetryAfter, Snooze, ThreadJobContext, Unrecoverable
from corral.worker import execute
from eventually import eventually

AT_ONCE = Retry(attempts=3, backoff="fixed", delay=0)


async def finished(job: Job) -> bool:
    return (await job.refresh()).status in ("completed", "failed")


# Retries


async def test_a_job_fails_as_often_as_it_may(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=AT_ONCE)
    attempts: list[int] = []

    @queue.job("build")
    async def build(job: JobContext) -> None:
        attempts.append(job.attempt)
        raise ValueError(f"boom {job.attempt}")

    job = await queue.add("build")
    await drain(queue)
    await job.refresh()
    assert attempts == [1, 2, 3]
    assert (job.status, job.attempts_made, job.failed_reason) == ("failed", 3, "boom 3")
    assert [trace.strip().splitlines()[-1] for trace in job.stacktrace] == [
        f"ValueError: boom {number}" for number in (1, 2, 3)
    ]
    events = [e["event"] for _, e in await redis.xrange(queue.keys().events)]
    assert events.count("retries-exhausted") == events.count("failed") == 1


async def test_a_retry_waits_in_delayed_and_keeps_its_reason(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=Retry(attempts=3, delays=(60, 300)))

    @queue.job("build")
    async def build(job: JobContext) -> None:
        raise ValueError("boom")

    job = await queue.add("build")
    for attempt, wait in ((1, 60), (2, 300)):
        await drain(queue)
        await job.refresh()
        assert (job.status, job.attempts_made, job.failed_reason) == ("delayed", attempt, "boom")
        assert len(job.stacktrace) == attempt
        assert await redis.hget(queue.keys().job(job.id), "delay") == str(wait * 1000)
        due = await redis.zscore(queue.keys().delayed, job.id) / 4096 / 1000
        seconds, _ = await redis.time()
        assert abs(due - seconds - wait) < 30
        await redis.zadd(queue.keys().delayed, {job.id: 1})  # as if the wait were over
    await drain(queue)
    assert (await job.refresh()).status == "failed"


async def test_retries_come_back_by_themselves(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=Retry(attempts=3, backoff="exponential", delay=0.05, jitter=0.5))

    @queue.job("build")
    async def build(job: JobContext) -> int:
        if job.attempt < 3:
            raise ValueError("not yet")
        return job.attempt

    start_worker(queue)
    jobs = await queue.add_many("build", range(20))
    assert [await job.result(timeout=15) for job in jobs] == [3] * 20


async def test_a_job_keeps_the_options_of_its_node_producer(queue: Queue, redis: Redis) -> None:
    """As the mission's edge function adds it: attempts and exponential backoff of its own."""
    opts = {"priority": 1, "attempts": 3, "backoff": {"type": "exponential", "delay": 60_000}}

    @queue.job("build")
    async def build(job: JobContext) -> None:
        assert job.attempts == 3
        raise ValueError("boom")

    job = await queue.add("build", priority=1, retry=Retry(attempts=1))
    await redis.hset(queue.keys().job(job.id), "opts", json.dumps(opts))
    for wait in (60_000, 120_000):
        await drain(queue)
        assert await redis.hget(queue.keys().job(job.id), "delay") == str(wait)
        await redis.zadd(queue.keys().delayed, {job.id: 1})
    await drain(queue)
    assert (await job.refresh()).status == "failed"


async def test_a_job_without_a_word_about_retries_takes_its_queues_policy(
    make_queue: MakeQueue, redis: Redis
) -> None:
    queue = make_queue(retry=Retry(attempts=2, backoff="fixed", delay=0))

    @queue.job("build")
    async def build(job: JobContext) -> None:
        raise ValueError("boom")

    job = await queue.add("build")
    await redis.hset(queue.keys().job(job.id), "opts", '{"attempts":0}')
    await drain(queue)
    await job.refresh()
    assert (job.status, job.attempts_made) == ("failed", 2)


async def test_unrecoverable_is_dead_at_once(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=AT_ONCE)

    @queue.job("build")
    def build(job: ThreadJobContext) -> None:
        raise Unrecoverable("no such person")

    job = await queue.add("build")
    await drain(queue)
    await job.refresh()
    assert (job.status, job.attempts_made, job.failed_reason) == ("failed", 1, "no such person")


async def test_snooze_goes_back_unspent(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    runs: list[int] = []

    @queue.job("build")
    async def build(job: JobContext) -> None:
        runs.append(job.attempt)
        if len(runs) < 4:
            raise Snooze(60)

    job = await queue.add("build")
    for _ in range(3):
        await drain(queue)
        await job.refresh()
        assert (job.status, job.attempts_made, job.failed_reason) == ("delayed", 0, None)
        assert await redis.hget(queue.keys().job(job.id), "delay") == "60000"
        await redis.zadd(queue.keys().delayed, {job.id: 1})
    await drain(queue)
    await job.refresh()
    assert (job.status, job.attempts_made) == ("completed", 1)
    assert runs == [1, 1, 1, 1]


async def test_snooze_of_no_time_comes_back_at_once(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    runs = 0

    @queue.job("build")
    async def build(job: JobContext) -> int:
        nonlocal runs
        runs += 1
        if runs < 20:
            raise Snooze(0)
        return runs

    start_worker(queue)
    assert await (await queue.add("build")).result(timeout=15) == 20


@pytest.mark.parametrize(("asked", "wait"), [(900, 900), (1, 60)])
async def test_retry_after_waits_for_the_longer_of_both(
    make_queue: MakeQueue, redis: Redis, asked: float, wait: int
) -> None:
    queue = make_queue(retry=Retry(attempts=2, delays=(60,)))

    @queue.job("build")
    async def build(job: JobContext) -> None:
        raise RetryAfter(asked, "busy")

    job = await queue.add("build")
    await drain(queue)
    await job.refresh()
    assert (job.status, job.attempts_made, job.failed_reason) == ("delayed", 1, "busy")
    assert await redis.hget(queue.keys().job(job.id), "delay") == str(wait * 1000)


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


# Unknown names


@pytest.fixture
def unknown_held_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "UNKNOWN_NAME_SECONDS", 0.02)


async def test_an_unknown_name_is_held_with_nothing_spent(make_queue: MakeQueue, redis: Redis) -> None:
    queue, old = make_queue("orders"), Queue("orders", redis_url=make_queue("x")._redis_url)

    @old.job("old")
    async def known(job: JobContext) -> None: ...

    job = await queue.add("new", {"a": 1}, retry=Retry(attempts=1))
    await drain(old)
    await job.refresh()
    assert (job.status, job.attempts_made, job.failed_reason) == ("delayed", 0, None)
    since = await redis.hget(queue.keys().job(job.id), "corral:unknown")
    await redis.zadd(queue.keys().delayed, {job.id: 1})
    await drain(old)
    assert await redis.hget(queue.keys().job(job.id), "corral:unknown") == since  # from the first look on

    @queue.job("new")  # the rolling deploy is through
    async def new(job: JobContext, data: dict[str, int]) -> int:
        return data["a"]

    await redis.zadd(queue.keys().delayed, {job.id: 1})
    await drain(queue)
    await job.refresh()
    assert (job.status, job.attempts_made, job.result_value) == ("completed", 1, 1)
    await old.close()


async def test_an_unknown_name_is_dead_after_the_limit(
    queue: Queue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, unknown_held_briefly: None
) -> None:
    monkeypatch.setattr(execute, "UNKNOWN_NAME_LIMIT_SECONDS", 0.2)
    job = await queue.add("nowhere", {"a": 1})

    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    start_worker(queue)
    await eventually(lambda: finished(job))
    assert job.status == "failed"
    assert job.failed_reason is not None
    assert "'nowhere'" in job.failed_reason
    assert "Deploy a handler" in job.failed_reason
    assert job.raw_data == b'{"a":1}'


async def test_unknown_names_do_not_hold_up_the_others(queue: Queue) -> None:
    await queue.add_many("nowhere", range(50))

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None: ...

    await queue.add_many("build", range(50))
    await drain(queue, concurrency=2)
    counts = await queue.counts()
    assert (counts["completed"], counts["delayed"]) == (50, 50)


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
