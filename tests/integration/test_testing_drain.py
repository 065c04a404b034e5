"""Draining: real workers over what is enqueued, brought forward, and told of."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from running_worker import MakeQueue

from corral import JobContext, Queue, Retry, Snooze, ThreadJobContext
from corral.errors import ConfigurationError, JobFailed, NotDrained
from corral.testing import drain

FOR_EVER = Retry(attempts=3, delay=3600)
ONCE = Retry(attempts=1)


class CardDeclined(Exception): ...


async def test_it_runs_what_waits_and_tells_how_it_ended(make_queue: MakeQueue) -> None:
    queue, other = make_queue(retry=ONCE), make_queue()

    @queue.job("bill")
    async def bill(job: JobContext, data: int) -> int:
        if data < 0:
            raise CardDeclined(f"card {data}")
        await other.add("mail", data)
        return data * 2

    @other.job("mail")
    def mail(job: ThreadJobContext, data: int) -> None: ...

    await queue.add("bill", 1)
    await queue.add("bill", -1, remove_on_fail=True)
    await queue.add("bill", 2, remove_on_complete=True)
    await queue.add("bill", 3, delay=3600)
    drained = await drain(queue)
    assert sorted((end.name, end.result) for end in drained.completed) == [("bill", 2), ("bill", 4)]
    (failed,) = drained.failed
    assert (failed.queue, failed.name, failed.reason) == (queue.name, "bill", "card -1")
    assert isinstance(failed.error, CardDeclined)
    assert drained.delayed == 1
    assert len((await drain(queue, other)).completed) == 2
    again = await drain(queue, other)
    assert (again.completed, again.failed, again.delayed) == ((), (), 1)


async def test_retries_and_delays_are_brought_forward(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=FOR_EVER)
    attempts: list[int] = []

    @queue.job("bill")
    async def bill(job: JobContext, data: str) -> str:
        attempts.append(job.attempt)
        if data == "never" or job.attempt < 3:
            raise CardDeclined(f"attempt {job.attempt}")
        return "paid"

    await queue.add("bill", "third", delay=3600, priority=3)
    await queue.add("bill", "never")
    drained = await drain(queue, with_delayed=True)
    assert [end.result for end in drained.completed] == ["paid"]
    assert [end.reason for end in drained.failed] == ["attempt 3"]
    assert drained.failed[0].trace.count("CardDeclined: attempt") == 3
    assert sorted(attempts) == [1, 1, 2, 2, 3, 3]
    assert drained.delayed == 0


async def test_what_would_come_back_for_ever_stays(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=FOR_EVER)
    story: list[str] = []

    @queue.job("waits")
    async def waits(job: JobContext) -> Any:
        story.append("waits")
        said = await job.wait_for("approval", timeout=3600)
        if job.attempt == 1:  # the field of the wait stays; the retry is brought forward all the same
            raise CardDeclined("after the wait")
        return said

    @queue.job("tick")
    async def tick(job: JobContext) -> None:
        story.append("tick")

    await queue.schedules.upsert("ticker", "tick", every=3600)
    await queue.add("waits")
    await drain(queue)  # its first run is due at once, unlike the one after it
    story.clear()
    drained = await drain(queue, with_delayed=True)
    assert (drained.completed, drained.failed, drained.delayed) == ((), (), 2)
    assert story == []
    assert await queue.signal("approval", "yes")
    drained = await drain(queue, with_delayed=True)
    assert [end.result for end in drained.completed] == ["yes"]
    assert drained.delayed == 1


async def test_a_name_that_no_handler_knows_is_left(make_queue: MakeQueue, redis_url: str) -> None:
    queue = make_queue()
    producer = Queue(queue.name, redis_url=redis_url)
    await producer.add("unknown")

    @queue.job("bill")
    async def bill(job: JobContext) -> None: ...

    drained = await drain(queue, with_delayed=True)
    assert (drained.completed, drained.failed, drained.delayed) == ((), (), 1)


async def test_raises_what_the_handler_raised(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=2, delay=3600))

    @queue.job("bill")
    def bill(job: ThreadJobContext) -> None:
        raise CardDeclined("no funds")

    job = await queue.add("bill")
    with pytest.raises(CardDeclined, match="no funds") as caught:
        await drain(queue, with_delayed=True, raises=True)
    assert caught.value.__notes__ == [f"Raised by job {job.id} ('bill') of queue {queue.name!r}."]
    assert caught.traceback[-1].name == "bill"


async def test_raises_the_reason_where_nothing_was_raised(make_queue: MakeQueue, redis_url: str) -> None:
    queue = make_queue()
    producer = Queue(queue.name, redis_url=redis_url)
    await producer.add("bill", "no number")

    @queue.job("bill")
    async def bill(job: JobContext, data: int) -> None: ...

    with pytest.raises(JobFailed, match=r"(?s)Expected `int`.*UndecodableData"):
        await drain(queue, raises=True)
    drained = await drain(queue, raises=True)
    assert drained.failed == ()


async def test_a_time_limit_is_no_cancellation_of_the_test(make_queue: MakeQueue) -> None:
    queue = make_queue(timeout=0.05, retry=ONCE)

    @queue.job("bill")
    async def bill(job: JobContext) -> None:
        await asyncio.Event().wait()

    await queue.add("bill")
    with pytest.raises(JobFailed, match="time limit"):
        await drain(queue, raises=True)


async def test_it_says_what_is_left_when_its_time_is_up(make_queue: MakeQueue) -> None:
    queue = make_queue()
    started = asyncio.Event()

    @queue.job("snoozes")
    async def snoozes(job: JobContext) -> None:
        raise Snooze(3600)

    @queue.job("hangs")
    async def hangs(job: JobContext) -> None:
        started.set()
        await asyncio.Event().wait()

    await queue.add("snoozes")
    with pytest.raises(NotDrained, match=r"within 0\.5 s\. Left: 'queue-\d+': 1 "):
        await drain(queue, with_delayed=True, timeout=0.5)
    await drain(queue)
    await queue.add("hangs")
    with pytest.raises(NotDrained, match="1 waiting, 1 delayed"):  # put back
        await drain(queue, timeout=2)
    assert started.is_set()


async def test_a_time_out_of_a_resource_is_its_own(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.on_startup
    async def hook() -> None:
        raise TimeoutError("the database's")

    with pytest.raises(TimeoutError, match="the database's"):
        await drain(queue)


async def test_resources_are_replaced_for_the_time(make_queue: MakeQueue) -> None:
    queue = make_queue()

    class Database:
        name = "real"

    @queue.resource
    def database() -> Database:
        return Database()

    def fake() -> Database:
        made = Database()
        made.name = "fake"
        return made

    @queue.job("bill")
    async def bill(job: JobContext, data: None, db: Database) -> str:
        return db.name

    results = []
    for resources in ([fake], []):
        await queue.add("bill")
        results += [end.result for end in (await drain(queue, resources=resources)).completed]
    assert results == ["fake", "real"]


async def test_a_queue_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="at least one queue"):
        await drain()
