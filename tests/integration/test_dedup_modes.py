"""Deduplication in all its modes: what BullMQ's scripts leave in Redis, and the job that was kept."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from official_scripts import OfficialQueue
from queue_snapshot import differences, snapshots
from redis import Redis as BlockingRedis
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Dedup, Job, JobContext, NewJob, Priority, Queue, Retry
from corral.bullmq.keys import QueueKeys
from corral.bullmq.official_add import OfficialProducer
from corral.bullmq.producer import NewJobs
from corral.errors import InvalidData, RedisUnavailable
from eventually import eventually

NOW = 1_750_000_000_000


# The same as by BullMQ's own hand

MODES: dict[str, dict[str, Any]] = {
    "simple": {"id": "d"},
    "throttle": {"id": "d", "ttl": 60_000},
    "extend": {"id": "d", "ttl": 60_000, "extend": True},
    "debounce": {"id": "d", "ttl": 60_000, "extend": True, "replace": True},
    "keep last": {"id": "d", "keepLastIfActive": True},
}
KINDS: dict[str, dict[str, Any]] = {
    "standard": {},
    "lifo": {"lifo": True},
    "delayed": {"delay": 500},
    "prioritized": {"priority": 7},
    "custom id": {"jobId": "order-1"},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
async def test_the_official_scripts_called_by_hand_leave_the_same(
    queue: Queue, redis_url: str, mode: str, kind: str
) -> None:
    opts: dict[str, Any] = {"attempts": 3, "de": MODES[mode], **KINDS[kind]}
    keys = QueueKeys("corral-side", "q")
    with BlockingRedis.from_url(redis_url, decode_responses=True) as redis:
        by_hand = OfficialQueue(redis, "official", "q")
        expected = [
            by_hand.add("build", data, opts, job_id=opts.get("jobId", ""), now=NOW, dedup="d")
            for data in ("1", "2")
        ]
        job = NewJobs(
            id=opts.get("jobId", ""),
            name="build",
            options=json.dumps(opts),
            delay_ms=opts.get("delay", 0),
            priority=opts.get("priority", 0),
            lifo="lifo" in opts,
            timestamp_ms=NOW,
            once_key="",
            once_ms=0,
            data=[],
        )
        calls = [(job._replace(data=[data]), "d") for data in ("1", "2")]
        stored = await OfficialProducer(queue.client(), keys).add_all(calls)
        official, ours = snapshots(redis, by_hand.base, keys.base)
        assert [each.id for each in stored] == expected
        assert differences(ours, official) == []
        assert len(ours) > 0


# What the caller is told


async def test_the_job_that_was_kept_is_returned(queue: Queue) -> None:
    first = await queue.add("build", {"n": 1}, dedup=Dedup.simple("a"))
    second = await queue.add("build", {"n": 2}, dedup=Dedup.simple("a"))
    other = await queue.add("build", {"n": 3}, dedup=Dedup.simple("b"))
    assert (first.existed, second.existed, other.existed) == (False, True, False)
    assert (second.id, second.name, second.data) == (first.id, "build", {"n": 1})
    assert other.id != first.id
    assert await queue.dedup_job_id("a") == first.id
    assert (await queue.counts())["waiting"] == 2


async def test_adds_of_one_moment_keep_the_first(queue: Queue) -> None:
    jobs = await asyncio.gather(*(queue.add("build", n, dedup=Dedup.simple("a")) for n in range(50)))
    assert {job.id for job in jobs} == {jobs[0].id}
    assert [job.existed for job in jobs] == [False] + 49 * [True]
    assert {job.data for job in jobs} == {0}


async def test_adds_of_one_moment_travel_in_one_transaction(queue: Queue, redis: Redis) -> None:
    async def transactions() -> int:
        return int((await redis.info("commandstats"))["cmdstat_exec"]["calls"])

    await queue.add("build", dedup=Dedup.simple("first"))
    before = await transactions()
    await asyncio.gather(*(queue.add("build", dedup=Dedup.simple(f"id-{n}")) for n in range(100)))
    assert await transactions() - before == 1
    await queue.add_many("build", list(range(100)), dedup=Dedup.simple("many"))
    assert await transactions() - before == 2


async def test_plain_adds_between_them_confuse_nothing(queue: Queue) -> None:
    """New and kept are told apart by the queue's counter, which all adds share."""

    async def one(n: int) -> tuple[Job, bool]:
        if n % 3:
            return await queue.add("build", n), False
        return await queue.add("build", n, dedup=Dedup.simple(f"id-{n % 5}")), True

    results = await asyncio.gather(*(one(n) for n in range(200)))
    added = [job for job, deduplicated in results if not job.existed or not deduplicated]
    assert len({job.id for job in added}) == len(added) == (await queue.counts())["waiting"]
    assert sum(not job.existed for job, deduplicated in results if deduplicated) == 5


async def test_a_custom_id_that_is_there_is_returned_with_its_own_data(queue: Queue) -> None:
    await queue.add("other", {"n": 1}, job_id="order-1")
    again = await queue.add("build", {"n": 2}, job_id="order-1", dedup=Dedup.simple("a"))
    assert (again.id, again.existed, again.name, again.data) == ("order-1", True, "other", {"n": 1})
    assert await queue.dedup_job_id("a") is None


async def test_a_kept_job_that_is_gone_is_known_by_its_id(queue: Queue, redis: Redis) -> None:
    first = await queue.add("build", {"n": 1}, dedup=Dedup.throttle("a", 60))
    await redis.delete(queue.keys().job(first.id))
    second = await queue.add("build", {"n": 2}, dedup=Dedup.throttle("a", 60))
    assert (second.id, second.existed, second.data) == (first.id, True, None)


async def test_bad_data_takes_no_id(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None: ...

    with pytest.raises(InvalidData):
        await queue.add("build", "text", dedup=Dedup.simple("a"))
    assert await queue.dedup_job_id("a") is None


async def test_many_and_a_batch(queue: Queue) -> None:
    many = await queue.add_many("build", [1, 2, 3], dedup=Dedup.simple("a"))
    assert [job.existed for job in many] == [False, True, True]
    batch = await queue.add_batch(
        [
            NewJob("build", 4, dedup=Dedup.simple("a")),
            NewJob("build", 5),
            NewJob("build", 6, dedup=Dedup.simple("b"), priority=Priority.LOW),
        ]
    )
    assert [job.existed for job in batch] == [True, False, False]
    assert [job.data for job in batch] == [1, 5, 6]


async def test_options_are_stored_with_the_mode(queue: Queue, redis: Redis) -> None:
    job = await queue.add("build", dedup=Dedup.debounce("a", 60), retry=Retry(attempts=2, delays=(1, 2)))
    stored = await redis.hgetall(queue.keys().job(job.id))
    assert json.loads(stored["opts"]) == {
        "attempts": 2,
        "backoff": {"type": "fixed", "delay": 1000, "delays": [1000, 2000]},
        "delay": 60_000,
        "de": {"id": "a", "ttl": 60_000, "extend": True, "replace": True},
    }
    assert (stored["deid"], stored["delay"]) == ("a", "60000")


# Life


async def test_simple_ends_when_the_job_has_finished_for_good(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=2, backoff="fixed", delay=0))
    held: list[str | None] = []

    @queue.job("build")
    async def build(job: JobContext, fail: bool) -> None:
        held.append(await queue.dedup_job_id("a"))
        if fail:
            raise ValueError("no")

    for fail in (False, True):
        job = await queue.add("build", fail, dedup=Dedup.simple("a"))
        assert not job.existed
        await drain(queue)
        assert await queue.dedup_job_id("a") is None
    assert held == ["1", "2", "2"]  # the second job's retry still held it


async def test_throttle_outlives_the_job(queue: Queue, redis: Redis) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    job = await queue.add("build", dedup=Dedup.throttle("a", 60))
    await drain(queue)
    again = await queue.add("build", dedup=Dedup.throttle("a", 60))
    assert (again.id, again.existed) == (job.id, True)
    assert 0 < await redis.pttl(queue.keys().dedup("a")) <= 60_000


async def test_debounce_replaces_the_delayed_job_and_waits_anew(queue: Queue, redis: Redis) -> None:
    first = await queue.add("build", 1, dedup=Dedup.debounce("a", 60))
    await redis.pexpire(queue.keys().dedup("a"), 1_000)
    second = await queue.add("build", 2, dedup=Dedup.debounce("a", 60))
    assert not second.existed
    assert await queue.get(first.id) is None
    assert await redis.zrange(queue.keys().delayed, 0, -1) == [second.id]
    assert await redis.pttl(queue.keys().dedup("a")) > 1_000


async def test_of_those_that_come_while_one_runs_the_last_runs_next(
    queue: Queue, start_worker: StartWorker
) -> None:
    ran: list[int] = []
    started, go = asyncio.Event(), asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext, n: int) -> None:
        ran.append(n)
        started.set()
        await go.wait()

    first = await queue.add("build", 1, dedup=Dedup.keep_last("a"))
    start_worker(queue)
    await started.wait()
    for n in (2, 3, 4):
        kept = await queue.add("build", n, dedup=Dedup.keep_last("a"))
        assert (kept.id, kept.existed) == (first.id, True)
    go.set()
    await eventually(lambda: ran == [1, 4])

    async def all_done() -> bool:
        return (await queue.counts())["completed"] == 2

    await eventually(all_done)
    assert await queue.dedup_job_id("a") is None


async def test_the_last_runs_next_also_after_a_failure(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    ran: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, n: int) -> None:
        ran.append(n)
        if n == 1:
            await queue.add("build", 2, dedup=Dedup.keep_last("a"))
            raise ValueError("no")

    await queue.add("build", 1, dedup=Dedup.keep_last("a"))
    await drain(queue)
    assert ran == [1, 2]


async def test_a_released_id_lets_the_next_job_in(queue: Queue) -> None:
    first = await queue.add("build", 1, dedup=Dedup.simple("a"))
    assert await queue.release_dedup("a") is True
    assert await queue.release_dedup("a") is False
    second = await queue.add("build", 2, dedup=Dedup.simple("a"))
    assert (second.existed, second.id) == (False, str(int(first.id) + 1))
    assert (await queue.counts())["waiting"] == 2


# Under fire


@pytest.mark.parametrize("known", [(), ("addStandardJob",)])
async def test_a_server_that_forgot_the_scripts_is_given_them(
    queue: Queue, redis: Redis, known: tuple[str, ...]
) -> None:
    await queue.add("build", dedup=Dedup.simple("a"))
    await redis.script_flush()
    if known:  # it has one of the three
        await queue.add("build", dedup=Dedup.simple("a"))
    jobs = await queue.add_batch(
        [
            NewJob("build", dedup=Dedup.simple("b")),
            NewJob("build", dedup=Dedup.simple("c"), delay=60),
            NewJob("build", dedup=Dedup.simple("a")),
            NewJob("build", dedup=Dedup.simple("d"), priority=1),
        ]
    )
    assert [job.existed for job in jobs] == [False, False, True, False]
    counts = await queue.counts()
    assert (counts["waiting"], counts["delayed"], counts["prioritized"]) == (2, 1, 1)


async def test_one_broken_key_fails_its_add_and_no_other(queue: Queue, redis: Redis) -> None:
    await redis.hset(queue.keys().dedup("a"), "not", "a string")
    extended = Dedup("a", ttl=60, extend=True)  # its script fails after it has counted
    before, broken, after = await asyncio.gather(
        queue.add("build", dedup=Dedup.simple("b")),
        queue.add("build", dedup=extended),
        queue.add("build", dedup=Dedup.simple("c")),
        return_exceptions=True,
    )
    assert isinstance(broken, RedisUnavailable)
    assert isinstance(before, Job)
    assert isinstance(after, Job)
    assert (before.existed, after.existed) == (False, False)
    assert (await queue.counts())["waiting"] == 2
