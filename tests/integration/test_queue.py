"""Adding jobs and looking them up: what stands in Redis, and what the caller is told."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from running_worker import MakeQueue, Redis, StartWorker

from corral import Job, JobContext, Priority, Queue, Retry, Worker
from corral.bullmq.scripts import official
from corral.errors import (
    IdempotencyConflict,
    InvalidData,
    InvalidOptions,
    JobNotFound,
    JobTooLarge,
    LayoutUnsupported,
    UnknownJobName,
)
from eventually import eventually


class Order(msgspec.Struct, rename="camel"):
    order_number: int


# On the wire


async def test_a_plain_job_in_redis(queue: Queue, redis: Redis) -> None:
    job = await queue.add("build", {"a": [1, None, "ä"]})
    seconds, micros = await redis.time()
    keys = queue.keys()
    stored = await redis.hgetall(keys.job(job.id))
    assert job.id == "1"
    assert {k: v for k, v in stored.items() if k not in ("opts", "timestamp")} == {
        "name": "build",
        "data": '{"a":[1,null,"ä"]}',
        "delay": "0",
        "priority": "0",
    }
    assert json.loads(stored["opts"]) == {"attempts": 3, "backoff": {"type": "exponential", "delay": 1000}}
    assert 0 <= seconds * 1000 + micros // 1000 - int(stored["timestamp"]) < 60_000
    assert await redis.lrange(keys.wait, 0, -1) == ["1"]
    assert [event["event"] for _, event in await redis.xrange(keys.events)] == ["added", "waiting"]
    assert await redis.zrange(keys.marker, 0, -1, withscores=True) == [("0", 0)]


async def test_options_on_the_wire(queue: Queue, redis: Redis) -> None:
    job = await queue.add(
        "build",
        delay=60,
        priority=Priority.LOW,
        retry=Retry(attempts=4, delays=(60, 300)),
        timeout=30,
        remove_on_complete=True,
        remove_on_fail=100,
    )
    stored = await redis.hgetall(queue.keys().job(job.id))
    assert json.loads(stored["opts"]) == {
        "attempts": 4,
        "backoff": {"type": "fixed", "delay": 60_000, "delays": [60_000, 300_000]},
        "delay": 60_000,
        "priority": 10,
        "timeout": 30_000,
        "removeOnComplete": True,
        "removeOnFail": {"count": 100},
    }
    assert (stored["delay"], stored["priority"], stored["data"]) == ("60000", "10", "null")


async def test_typed_data_is_stored_in_the_words_of_its_type(queue: Queue, redis: Redis) -> None:
    job = await queue.add("build", Order(7))
    assert await redis.hget(queue.keys().job(job.id), "data") == '{"orderNumber":7}'


async def test_raw_json_is_stored_as_it_came(queue: Queue, redis: Redis) -> None:
    raw = b'{ "orderNumber": 7,\n "note": "\xc3\xa4" }'

    @queue.job("build")
    async def build(job: JobContext, data: Order) -> None: ...

    job = await queue.add_json("build", raw)
    assert await redis.hget(queue.keys().job(job.id), "data") == raw.decode()
    assert job.raw_data == raw
    assert job.data == Order(7)


# What is refused


async def test_what_is_refused_leaves_nothing_behind(queue: Queue, redis: Redis) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: Order) -> None: ...

    with pytest.raises(InvalidData, match="orderNumber"):
        await queue.add("build", {"orderNumber": "7"})
    with pytest.raises(InvalidData, match="orderNumber"):
        await queue.add_many("build", [Order(1), {"orderNumber": None}, Order(3)])
    with pytest.raises(UnknownJobName, match=r"'bild'.*It has: build"):
        await queue.add("bild", Order(7))
    with pytest.raises(JobTooLarge):
        await queue.add_json("build", b'{"orderNumber":7,"x":"' + b"x" * 1_048_576 + b'"}')
    with pytest.raises(InvalidOptions):
        await queue.add("build", Order(7), job_id="7")
    assert await redis.keys("*") == []


async def test_many_jobs_cannot_share_an_id(queue: Queue, redis: Redis) -> None:
    options: list[Any] = [{"job_id": "order-7"}, {"idempotency_key": "k"}]
    for option in options:
        with pytest.raises(InvalidOptions):
            await queue.add_many("build", [1, 2], **option)
    assert await redis.keys("*") == []


async def test_a_queue_without_handlers_here_takes_any_name(queue: Queue) -> None:
    assert (await queue.add("anything", 1)).name == "anything"


@pytest.mark.parametrize("version", ["bullmq:7.0.0", "bullmq:10.1.2", "bullmq:1.91.0"])
async def test_a_layout_of_another_major_version_is_refused(queue: Queue, redis: Redis, version: str) -> None:
    await redis.hset(queue.keys().meta, "version", version)
    before = await redis.keys("*")
    with pytest.raises(LayoutUnsupported, match=version):
        await queue.add("build", 1)
    with pytest.raises(LayoutUnsupported, match=version):
        await Worker(queue).run(until_empty=True)
    assert await redis.keys("*") == before


@pytest.mark.parametrize(
    "version", ["bullmq:6.7.0", "bullmq:5.81.3", "bullmq-pro:7.1.0", "something else", ""]
)
async def test_known_and_foreign_versions_are_taken(queue: Queue, redis: Redis, version: str) -> None:
    await redis.hset(queue.keys().meta, "version", version)
    assert (await queue.add("build", 1)).id == "1"


# Ids and keys


async def test_a_custom_id_is_added_once(queue: Queue, redis: Redis) -> None:
    first = await queue.add("build", 1, job_id="order-7")
    again = await queue.add("build", 2, job_id="order-7")
    assert (first.id, first.existed, first.data) == ("order-7", False, 1)
    assert (again.id, again.existed, again.data) == ("order-7", True, 1)
    assert await redis.lrange(queue.keys().wait, 0, -1) == ["order-7"]
    events = [event["event"] for _, event in await redis.xrange(queue.keys().events)]
    assert events == ["added", "waiting", "duplicated"]


async def test_an_idempotency_key_gives_the_same_job_for_the_same_data(queue: Queue, redis: Redis) -> None:
    first = await queue.add_json("build", b'{"a":1,"b":2}', idempotency_key="k")
    again = await queue.add_json("build", b'{ "b": 2, "a": 1 }', idempotency_key="k")
    assert (again.id, again.existed) == (first.id, True)
    assert (await queue.add("build", 1, idempotency_key="other")).id != first.id
    ttl = await redis.pttl(queue.keys().once("k"))
    assert 86_000_000 < ttl <= 86_400_000


async def test_an_idempotency_key_with_other_data_is_a_conflict(queue: Queue) -> None:
    await queue.add("build", {"amount": 1}, idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        await queue.add("build", {"amount": 2}, idempotency_key="k")
    assert (await queue.counts())["waiting"] == 1


async def test_an_idempotency_key_is_free_when_its_job_is_gone(queue: Queue, redis: Redis) -> None:
    first = await queue.add("build", 1, idempotency_key="k")
    await redis.delete(queue.keys().job(first.id))
    await redis.lrem(queue.keys().wait, 0, first.id)
    again = await queue.add("build", 2, idempotency_key="k")
    assert (again.existed, again.data) == (False, 2)
    assert again.id != first.id


async def test_the_same_key_many_times_at_once_is_one_job(queue: Queue) -> None:
    jobs = await asyncio.gather(*(queue.add("build", 1, idempotency_key="k") for _ in range(50)))
    assert len({job.id for job in jobs}) == 1
    assert sum(not job.existed for job in jobs) == 1
    assert (await queue.counts())["waiting"] == 1


# Order


async def order_of(queue: Queue) -> list[Any]:
    """Run all jobs one at a time; their data in the order in which they ran."""
    ran: list[Any] = []

    async def run(job: JobContext, data: Any) -> None:
        ran.append(data)

    queue.job("build")(run)
    async with asyncio.timeout(20):
        await Worker(queue, concurrency=1).run(until_empty=True)
    return ran


async def test_first_in_first_out(queue: Queue) -> None:
    for number in range(5):
        await queue.add("build", number)
    await queue.add_many("build", range(5, 10))
    assert await order_of(queue) == list(range(10))


async def test_lifo_goes_to_the_front(queue: Queue) -> None:
    await queue.add_many("build", [1, 2])
    await queue.add("build", 3, lifo=True)
    await queue.add("build", 4, lifo=True)
    assert await order_of(queue) == [4, 3, 1, 2]


async def test_priority_order(queue: Queue) -> None:
    for data, priority in [("low", 10), ("high", 1), ("medium", 5), ("high too", 1), ("none", 0)]:
        await queue.add("build", data, priority=priority)
    assert await order_of(queue) == ["none", "high", "high too", "medium", "low"]


async def test_a_delay_and_a_moment(queue: Queue, redis: Redis) -> None:
    by_delay = await queue.add("build", delay=3600)
    by_moment = await queue.add("build", at=datetime.now(UTC) + timedelta(hours=2))
    past = await queue.add("build", at=datetime.now(UTC) - timedelta(hours=2))
    due = dict(await redis.zrange(queue.keys().delayed, 0, -1, withscores=True))
    seconds, _ = await redis.time()
    assert due.keys() == {by_delay.id, by_moment.id}
    assert abs(due[by_delay.id] / 4096 / 1000 - seconds - 3600) < 60
    assert abs(due[by_moment.id] / 4096 / 1000 - seconds - 7200) < 60
    assert (await past.refresh()).status == "waiting"
    assert [marker for marker, score in await redis.zrange(queue.keys().marker, 0, -1, withscores=True)] == [
        "0",
        "1",
    ]


# Looking up


async def test_the_status_in_each_state(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    queue = make_queue(retry=Retry(attempts=1))
    gate = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext, data: str) -> str:
        if data == "held":
            await gate.wait()
        if data == "bad":
            raise ValueError("boom")
        return data

    running = await start_worker(queue, concurrency=3).ready()
    held, bad, good = await queue.add_many("build", ["held", "bad", "good"])
    await eventually(lambda: _is(held, "active"))
    await eventually(lambda: _is(bad, "failed"))
    await eventually(lambda: _is(good, "completed"))
    assert (good.result_value, good.failed_reason, good.attempts_made) == ("good", None, 1)
    assert (bad.result_value, bad.failed_reason, bad.attempts_made) == (None, "boom", 1)
    assert "ValueError: boom" in bad.stacktrace[0]
    assert (held.enqueued_at or math.inf) <= (held.started_at or 0)
    assert (good.started_at or math.inf) <= (good.finished_at or 0)
    assert good.processed_by == running.worker.name
    gate.set()
    await running.stop()

    waiting = await queue.add("build", "x")
    prioritized = await queue.add("build", "x", priority=1)
    delayed = await queue.add("build", "x", delay=60)
    parent = await queue.add("build", "x", job_id="parent")
    await redis.lrem(queue.keys().wait, 0, parent.id)
    await redis.zadd(queue.keys().waiting_children, {parent.id: 1})
    states = {waiting: "waiting", prioritized: "waiting", delayed: "delayed", parent: "waiting-children"}
    for job, state in states.items():
        assert job.status is None
        assert (await job.refresh()).status == state
    assert await queue.counts() == {
        "waiting": 1,
        "active": 0,
        "delayed": 1,
        "prioritized": 1,
        "completed": 2,
        "failed": 1,
        "waiting-children": 1,
    }


async def _is(job: Job, status: str) -> bool:
    return (await job.refresh()).status == status


async def test_a_job_that_is_not_there(queue: Queue) -> None:
    assert await queue.get("nowhere") is None
    job = await queue.add("build", 1)
    await queue._bind().client.delete(queue.keys().job(job.id))
    with pytest.raises(JobNotFound, match=job.id):
        await job.refresh()


async def test_data_that_does_not_fit_its_type_can_still_be_looked_at(queue: Queue, redis: Redis) -> None:
    job = await queue.add("build", {"orderNumber": "seven"})

    @queue.job("build")
    async def build(job: JobContext, data: Order) -> None: ...

    found = await queue.get(job.id)
    assert found is not None
    assert found.data == {"orderNumber": "seven"}
    good = await queue.add("build", Order(7))
    found = await queue.get(good.id)
    assert found is not None
    assert found.data == Order(7)


async def test_data_that_is_no_json_can_still_be_looked_at(queue: Queue, redis: Redis) -> None:
    job = await queue.add("build", 1)
    await redis.hset(queue.keys().job(job.id), "data", "{oops")
    found = await queue.get(job.id)
    assert found is not None
    assert found.raw_data == b"{oops"
    with pytest.raises(InvalidData):
        found.data  # noqa: B018  # reading it is the test


async def test_counts_of_an_empty_queue_and_of_a_v5_client(queue: Queue, redis: Redis) -> None:
    assert set((await queue.counts()).values()) == {0}
    await queue.add("build", 1)
    await redis.lpush(queue.keys().paused, "a", "b")
    assert (await queue.counts())["waiting"] == 3


async def test_logs_are_read_oldest_first(queue: Queue, redis: Redis) -> None:
    job = await queue.add("build", 1)
    assert await job.logs() == []
    for row in ("one", "two", "three"):
        await official("addLog")(
            queue._bind().client, [queue.keys().job(job.id), queue.keys().logs(job.id)], job.id, row, 2
        )
    assert await job.logs() == ["two", "three"]
    assert await queue.logs(job.id, -1) == ["three"]


async def test_a_queue_closes_and_opens_again(queue: Queue) -> None:
    async with queue:
        await queue.add("build", 1)
    assert (await queue.counts())["waiting"] == 1
    await queue.add("build", 2)
    await queue.close()
    await queue.close()
