"""A worker at work: all kinds of handlers and data, and what a handler may do."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest
from pydantic.alias_generators import to_camel
from running_worker import MakeQueue, Redis, drain
from typing_extensions import TypedDict

from corral import JobContext, Queue, Retry, ThreadJobContext


class StructOrder(msgspec.Struct, rename="camel"):
    order_number: int


@dataclass
class DataclassOrder:
    orderNumber: int  # noqa: N815  # the wire's name


class DictOrder(TypedDict):
    orderNumber: int


class ModelOrder(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(alias_generator=to_camel, populate_by_name=True)
    order_number: int


ORDERS: list[Any] = [
    StructOrder(7), DataclassOrder(7), DictOrder(orderNumber=7), ModelOrder(order_number=7)
]  # fmt: skip


# Handlers


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
@pytest.mark.parametrize("isolation", ["async", "thread"])
async def test_typed_data_and_results(queue: Queue, redis: Redis, order: Any, isolation: str) -> None:
    seen: list[Any] = []

    async def in_loop(job: JobContext, data: Any) -> Any:
        seen.append(data)
        return data

    def in_thread(job: ThreadJobContext, data: Any) -> Any:
        seen.append(data)
        return data

    handler = in_loop if isolation == "async" else in_thread
    handler.__annotations__ |= {"data": type(order), "return": type(order)}
    queue.job("build")(handler)
    job = await queue.add("build", order)
    await drain(queue)
    assert seen == [order]
    assert type(seen[0]) is type(order)
    assert await redis.hget(queue.keys().job(job.id), "returnvalue") == '{"orderNumber":7}'
    assert await job.result(timeout=10) == order


async def test_a_plain_function_runs_beside_the_loop(queue: Queue) -> None:
    threads: list[str] = []
    waiting = threading.Barrier(3, timeout=20)

    @queue.job("build")
    def build(job: ThreadJobContext, data: int) -> int:
        threads.append(threading.current_thread().name)
        waiting.wait()  # passes only if three of them run at once
        return data * 2

    jobs = await queue.add_many("build", [1, 2, 3])
    await drain(queue, concurrency=3)
    assert sorted([await job.result(timeout=10) for job in jobs]) == [2, 4, 6]
    assert all(name.startswith("corral-job") for name in threads)


async def test_a_handler_without_data(queue: Queue) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> str:
        return f"{job.name} {job.id} {job.data}"

    job = await queue.add("build", {"a": 1})
    await drain(queue)
    assert await job.result(timeout=10) == "build 1 {'a': 1}"


async def test_what_a_handler_knows_about_its_job(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=4, backoff="fixed", delay=0), timeout=60)
    seen: list[JobContext] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        seen.append(job)
        if job.attempt < 2:
            raise ValueError("again")

    before = time.time()
    job = await queue.add("build", 7)
    await drain(queue)
    first, second = seen
    assert (first.id, first.name, first.queue, first.data) == (job.id, "build", queue.name, 7)
    assert (first.attempt, first.attempts, second.attempt) == (1, 4, 2)
    assert before - 1 <= first.enqueued_at == second.enqueued_at <= time.time() + 1
    assert first.deadline is not None
    assert before + 59 <= first.deadline <= time.time() + 61
    assert first.checkpoints == {}
    assert job.id in repr(first)


async def test_no_time_limit_no_deadline(queue: Queue) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> bool:
        return job.deadline is None

    job = await queue.add("build")
    await drain(queue)
    assert await job.result(timeout=10) is True


async def test_progress_and_log(queue: Queue, redis: Redis) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> None:
        await job.progress(50)
        await job.log("halfway")
        await job.progress({"page": 2, "of": 3})
        await job.log("däne")

    job = await queue.add("build")
    await drain(queue)
    await job.refresh()
    assert job.progress == {"page": 2, "of": 3}
    assert await job.logs() == ["halfway", "däne"]
    events = [e for _, e in await redis.xrange(queue.keys().events) if e["event"] == "progress"]
    assert [e["data"] for e in events] == ["50", '{"page":2,"of":3}']


async def test_progress_log_and_checkpoint_from_a_thread(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=2, backoff="fixed", delay=0))

    @queue.job("build")
    def build(job: ThreadJobContext, data: int) -> dict[str, Any]:
        job.progress(job.attempt)
        job.log(f"attempt {job.attempt}")
        job.checkpoint({f"run {job.attempt}": data})
        if job.attempt == 1:
            raise ValueError("again")
        return job.checkpoints

    job = await queue.add("build", 7)
    await drain(queue)
    assert await job.result(timeout=10) == {"run 1": 7, "run 2": 7}
    assert (await job.refresh()).progress == 2
    assert await job.logs() == ["attempt 1", "attempt 2"]


async def test_logs_are_bounded_by_the_producers_wish(queue: Queue, redis: Redis) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> None:
        for number in range(5):
            await job.log(str(number))

    job = await queue.add("build")
    await redis.hset(queue.keys().job(job.id), "opts", '{"kl":2}')
    await drain(queue)
    assert await job.logs() == ["3", "4"]


async def test_checkpoints_survive_their_attempt(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=3, backoff="fixed", delay=0))
    paid = 0

    @queue.job("build")
    async def build(job: JobContext) -> dict[str, Any]:
        nonlocal paid
        if "payment" not in job.checkpoints:
            paid += 1
            await job.checkpoint({"payment": "p-1", "tries": 0})
        await job.checkpoint({"tries": job.checkpoints["tries"] + 1})
        if job.attempt < 3:
            raise ValueError("again")
        job.checkpoints["payment"] = "changed"  # a copy
        return job.checkpoints

    job = await queue.add("build")
    await drain(queue)
    assert await job.result(timeout=10) == {"payment": "p-1", "tries": 3}
    assert paid == 1


async def test_checkpoints_made_at_once_are_all_kept(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=2, backoff="fixed", delay=0))

    @queue.job("build")
    async def build(job: JobContext) -> dict[str, Any]:
        if job.attempt == 1:
            await asyncio.gather(*(job.checkpoint({f"step {n}": n}) for n in range(20)))
            raise ValueError("again")
        return job.checkpoints

    job = await queue.add("build")
    await drain(queue)
    assert await job.result(timeout=10) == {f"step {n}": n for n in range(20)}


async def test_what_one_handler_binds_is_not_seen_by_the_next(queue: Queue) -> None:
    import contextvars

    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")
    seen: list[str] = []

    @queue.job("build")
    async def build(job: JobContext, data: str) -> None:
        seen.append(user.get())
        user.set(data)
        await job.log("x")
        assert user.get() == data

    await queue.add_many("build", ["ann", "bob", "cid"])
    await drain(queue, concurrency=1)
    assert seen == ["nobody"] * 3


async def test_a_handler_may_add_jobs(queue: Queue) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: int) -> int:
        if data:
            await queue.add("build", data - 1)
        return data

    await queue.add("build", 20)
    await drain(queue)
    assert (await queue.counts())["completed"] == 21
