"""Inline mode: jobs run where they are added, and no server is asked for anything."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import msgspec
import pytest

from corral import Batch, BatchJob, JobContext, NewJob, Queue, Retry, ThreadJobContext, current_job
from corral.errors import (
    ConfigurationError,
    IdempotencyConflict,
    InvalidData,
    InvalidOptions,
    UnknownJobName,
    Unrecoverable,
)
from corral.testing import inline

#: Nothing listens there.
NOWHERE = "redis://127.0.0.1:1"


class Order(msgspec.Struct, rename="camel"):
    order_id: int
    note: str = ""


class Receipt(msgspec.Struct):
    text: str


def make_queue(**options: Any) -> Queue:
    return Queue("orders", redis_url=NOWHERE, **options)


async def test_add_runs_the_handler_and_returns_a_job_with_its_result() -> None:
    queue = make_queue()

    @queue.job("bill")
    async def bill(job: JobContext, data: Order) -> Receipt:
        await job.progress(50)
        await job.log("halfway")
        await job.checkpoint({"step": 1})
        assert current_job() is job
        assert job.checkpoints == {"step": 1}
        return Receipt(f"order {data.order_id}, attempt {job.attempt} of {job.attempts}")

    with inline(queue) as run:
        job = await queue.add("bill", Order(7), retry=Retry(attempts=3))
        expected = Receipt("order 7, attempt 1 of 3")
        assert await job.result() == expected
        assert (job.status, job.progress, await job.logs()) == ("completed", 50, ["halfway"])
        assert job.result_value == {"text": "order 7, attempt 1 of 3"}
        assert job.data == Order(7)
        assert job.finished_at is not None
        found = await queue.get(job.id)
        assert found is not None
        assert found.status == "completed"
        assert run.jobs == [job]
        assert run.named("other") == []
        assert await queue.get("unknown") is None
    assert current_job() is None
    assert type(queue) is Queue


def test_a_def_handler_runs_in_the_thread_that_adds() -> None:
    queue = make_queue()
    variable: ContextVar[str] = ContextVar("variable")
    seen: list[Any] = []

    @queue.job("bill")
    def bill(job: ThreadJobContext, data: Order) -> str:
        job.progress(10)
        job.checkpoint({"a": 1})
        seen.append((threading.current_thread(), variable.get(), job.checkpoints, current_job() is job))
        if data.order_id:  # and one that adds another
            queue.sync.add("bill", Order(0))
        return "done"

    variable.set("the caller's")
    with inline(queue) as run:
        job = queue.sync.add("bill", Order(7))
        assert job.sync.result() == "done"
        assert (job.status, job.progress) == ("completed", 10)
        assert len(queue.sync.add_many("bill", [Order(0), Order(0)])) == 2
    assert seen[0] == (threading.current_thread(), "the caller's", {"a": 1}, True)
    assert [len(seen), len(run.jobs)] == [4, 4]


async def test_a_def_handler_added_by_a_coroutine_runs_in_a_thread() -> None:
    queue = make_queue()

    @queue.job("bill")
    def bill(job: ThreadJobContext) -> bool:
        job.log("from the thread")
        queue.sync.add("nested")
        return threading.current_thread() is threading.main_thread()

    @queue.job("nested")
    def nested(job: ThreadJobContext) -> None: ...

    with inline(queue) as run:
        job = await queue.add("bill")
        assert await job.result() is False
        assert await job.logs() == ["from the thread"]
        assert [job.name for job in run.jobs] == ["bill", "nested"]


def test_an_async_handler_added_without_a_loop() -> None:
    queue = make_queue()

    @queue.job("bill")
    async def bill(job: JobContext, data: Order) -> int:
        await asyncio.sleep(0)
        return data.order_id

    with inline(queue):
        assert queue.sync.add("bill", Order(7)).sync.result() == 7


async def test_what_a_handler_raises_comes_out() -> None:
    queue = make_queue(retry=Retry(attempts=3))

    @queue.job("async")
    async def fails(job: JobContext) -> None:
        raise KeyError("the card")

    @queue.job("thread")
    def fails_too(job: ThreadJobContext) -> None:
        raise Unrecoverable("no card")

    with inline(queue) as run:
        with pytest.raises(KeyError, match="the card"):
            await queue.add("async")
        with pytest.raises(Unrecoverable, match="no card"):
            await queue.add("thread")
        assert [(job.status, job.failed_reason) for job in run.jobs] == [
            ("failed", "'the card'"),
            ("failed", "no card"),
        ]
        assert run.jobs[0].attempts_made == 1


def test_errors_without_a_loop_come_out_too() -> None:
    queue = make_queue()

    @queue.job("async")
    async def fails(job: JobContext) -> None:
        raise KeyError("the card")

    @queue.job("exits")
    def exits(job: ThreadJobContext) -> None:
        sys.exit("enough")

    with inline(queue):
        with pytest.raises(KeyError, match="the card"):
            queue.sync.add("async")
        with pytest.raises(SystemExit, match="enough"):
            queue.sync.add("exits")
        with pytest.raises(KeyError, match="the card"):  # the loop is still there
            queue.sync.add("async")


async def test_names_data_and_options_are_checked_as_always() -> None:
    queue = make_queue()

    @queue.job("bill")
    async def bill(job: JobContext, data: Order) -> Any:
        return object() if data.note else None

    with inline(queue) as run:
        with pytest.raises(UnknownJobName, match="has no handler for 'bil'"):
            await queue.add("bil", Order(1))
        with pytest.raises(InvalidData, match="orderId"):
            await queue.add("bill", {"orderId": "seven"})
        with pytest.raises(InvalidOptions, match="delay"):
            await queue.add("bill", Order(1), delay=-1)
        with pytest.raises(InvalidOptions, match="dely"):
            await queue.add("bill", Order(1), dely=1)  # type: ignore[call-arg]  # the slip under test
        with pytest.raises(InvalidOptions, match="cannot share"):
            await queue.add_many("bill", [Order(1)], job_id="x")  # type: ignore[call-arg]  # the same
        with pytest.raises(InvalidData):
            await queue.add_many("bill", [Order(1), {"orderId": "seven"}])
        assert run.jobs == []
        with pytest.raises(InvalidData, match="JSON"):
            await queue.add("bill", Order(1, note="a result that is no JSON"))


async def test_a_job_is_added_once_for_an_id_or_a_key() -> None:
    queue = make_queue()
    ran: list[int] = []

    @queue.job("bill")
    async def bill(job: JobContext, data: int) -> None:
        ran.append(data)

    with inline(queue):
        first = await queue.add("bill", 1, job_id="one")
        second = await queue.add("bill", 2, job_id="one")
        assert (first.existed, second.existed, second.data) == (False, True, 1)
        key = await queue.add("bill", 3, idempotency_key="k")
        assert (await queue.add("bill", 3, idempotency_key="k")).id == key.id
        with pytest.raises(IdempotencyConflict):
            await queue.add("bill", 4, idempotency_key="k")
    with inline(queue):  # forgets
        assert not (await queue.add("bill", 5, job_id="one")).existed
    assert ran == [1, 3, 5]


async def test_many_and_batches() -> None:
    queue, events = make_queue(), Queue("events", redis_url=NOWHERE)

    @queue.job("bill")
    async def bill(job: JobContext, data: int) -> int:
        return data * 2

    @events.job("track", batch=Batch(size=100, linger=60))
    async def track(jobs: list[BatchJob], data: list[int]) -> list[int]:
        return [len(jobs) * 100 + number for number in data]

    @events.job("thread", batch=Batch(size=100, linger=60))
    def thread(jobs: list[Any], data: list[int]) -> None:
        jobs[0].fail(ValueError("not this one"))

    with inline(queue, events) as run:
        assert [await job.result() for job in await queue.add_many("bill", [1, 2])] == [2, 4]
        assert [await job.result() for job in await queue.add_batch([NewJob("bill", 5)])] == [10]
        assert await (await events.add("track", 7)).result() == 107
        with pytest.raises(ValueError, match="not this one"):
            await events.add("thread", 1)
        assert [job.queue for job in run.jobs] == ["orders"] * 3 + ["events"] * 2


def in_a_process(job: ThreadJobContext, data: int) -> int:
    job.log("it has the same methods")
    return os.getpid() + data


async def test_a_handler_for_a_process_runs_in_this_one() -> None:
    queue = make_queue()
    queue.job("heavy", isolation="process")(in_a_process)
    with inline(queue):
        job = await queue.add("heavy", 1)
        assert await job.result() == os.getpid() + 1
        assert await job.logs() == ["it has the same methods"]


class Database:
    def __init__(self, name: str = "real") -> None:
        self.name = name


async def test_middleware_and_resources_are_around_it_and_can_be_replaced() -> None:
    queue = make_queue()
    story: list[str] = []

    @queue.resource
    async def database() -> AsyncIterator[Database]:
        story.append("open")
        yield Database()
        story.append("close")

    @queue.middleware
    async def around(job: JobContext, run: Any) -> Any:
        story.append("before")
        result = await run()
        return f"{result}, wrapped"

    @queue.job("bill")
    def bill(job: ThreadJobContext, data: None, db: Database) -> str:
        story.append(f"{db.name} database")
        return "done"

    def fake() -> Database:
        return Database("fake")

    with inline(queue):
        assert await (await queue.add("bill")).result() == "done, wrapped"
    with inline(queue, resources=[fake]):
        await queue.add("bill")
    with inline(queue):
        await queue.add("bill")
    once = ["open", "before", "real database", "close"]
    assert story == [*once, "before", "fake database", *once]


async def test_what_needs_a_server_says_so() -> None:
    queue = make_queue()

    @queue.job("waits")
    async def waits(job: JobContext) -> None:
        await job.wait_for("signal", timeout=1)

    @queue.job("parent")
    async def parent(job: JobContext) -> None:
        await job.add_child(queue, "waits")

    @queue.job("values")
    async def values(job: JobContext) -> None:
        await job.children_values()

    with inline(queue):
        for name in ("waits", "parent", "values"):
            with pytest.raises(ConfigurationError, match="runs inline, without a server"):
                await queue.add(name)
        calls = (
            queue.counts, queue.admin.pause, queue.browse.priorities, queue.groups.list,
            lambda: queue.cancel("1"), lambda: queue.signal("s"),
        )  # fmt: skip
        for call in calls:
            with pytest.raises(ConfigurationError, match="runs inline, without a server"):
                await call()


async def test_all_queues_and_queues_of_a_class_of_its_own() -> None:
    class Own(Queue):
        def more(self) -> str:
            return "more"

    queue = Own("own", redis_url=NOWHERE)

    @queue.job("bill")
    async def bill(job: JobContext) -> str:
        return "done"

    with inline():
        assert await (await queue.add("bill")).result() == "done"
        assert queue.more() == "more"
        with pytest.raises(ConfigurationError, match="inline already"), inline(queue):
            pass
    assert type(queue) is Own


async def test_the_queue_is_itself_again_after_an_error() -> None:
    queue = make_queue()
    with pytest.raises(ZeroDivisionError), inline(queue):
        raise ZeroDivisionError
    assert type(queue) is Queue
    assert "_inline" not in vars(queue)
