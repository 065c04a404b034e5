"""A worker at work: all kinds of handlers and data, what a handler may do, and several workers together."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest
from pydantic.alias_generators import to_camel
from running_worker import MakeQueue, Redis, StartWorker, drain
from typing_extensions import TypedDict

from corral import Job, JobContext, Queue, Retry, ThreadJobContext, Worker
from corral.errors import ConfigurationError, RedisUnavailable
from corral.worker import idle
from eventually import eventually


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


# Many


async def test_many_jobs_in_few_slots(queue: Queue) -> None:
    ran: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        if data % 3 == 0:
            await asyncio.sleep(0)
        ran.append(data)

    await queue.add_many("build", range(3_000), remove_on_complete=True)
    await drain(queue, concurrency=7)
    assert sorted(ran) == list(range(3_000))
    assert set((await queue.counts()).values()) == {0}


async def test_more_slots_than_one_call_takes(queue: Queue) -> None:
    """step.lua takes at most 1,000 at a time; 2,500 handlers must all be running at once here."""
    running = 0
    all_run = asyncio.Event()

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        nonlocal running
        running += 1
        if running == 2_500:
            all_run.set()
        await all_run.wait()

    await queue.add_many("build", range(2_500))
    await drain(queue, concurrency=2_500)
    assert (await queue.counts())["completed"] == 2_500


@pytest.mark.parametrize(("worker", "declared", "most"), [(4, None, 4), (10, 3, 3), (2, 5, 2), (1, None, 1)])
async def test_never_more_at_once_than_allowed(
    make_queue: MakeQueue, worker: int, declared: int | None, most: int
) -> None:
    queue = make_queue(concurrency=declared, retry=Retry(attempts=2, backoff="fixed", delay=0))
    running = peak = 0

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.001 * (data % 3))
        running -= 1
        if data % 5 == 0 and job.attempt == 1:
            raise ValueError("again")

    await queue.add_many("build", range(100))
    await drain(queue, concurrency=worker)
    assert peak == most
    assert (await queue.counts())["completed"] == 100


async def test_several_queues_in_one_worker(make_queue: MakeQueue) -> None:
    queues = [make_queue() for _ in range(4)]
    ran: list[tuple[int, int]] = []

    for number, queue in enumerate(queues):

        async def build(job: JobContext, data: int, number: int = number) -> None:
            ran.append((number, data))

        queue.job("build")(_of_two(build))
        await queue.add_many("build", range(50))
    await drain(*queues)
    assert sorted(ran) == [(number, data) for number in range(4) for data in range(50)]


def _of_two(handler: Any) -> Any:
    async def two(job: JobContext, data: int) -> None:
        await handler(job, data)

    return two


async def test_two_workers_share_a_queue(queue: Queue, start_worker: StartWorker) -> None:
    runs: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        runs.append(data)
        await asyncio.sleep(0.002)

    first = await start_worker(queue, concurrency=3, name="first").ready()
    second = await start_worker(queue, concurrency=3, name="second").ready()
    jobs: list[Job] = await queue.add_many("build", range(300))

    async def all_done() -> bool:
        return (await queue.counts())["completed"] == 300

    await eventually(all_done)
    assert sorted(runs) == list(range(300))
    by = {(await job.refresh()).processed_by for job in jobs}
    assert by == {"first", "second"}
    await first.stop()
    await second.stop()


@pytest.mark.parametrize("slots", [1, 20])
async def test_a_hint_that_comes_while_a_call_is_under_way_is_not_forgotten(
    queue: Queue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    """The call found nothing, its answer is on the way, and the marker tells of a job it did not see."""
    monkeypatch.setattr(idle, "POLL_SECONDS", 60.0)

    @queue.job("build")
    async def build(job: JobContext) -> str:
        return "seen"

    running = await start_worker(queue, concurrency=slots).ready()
    (feed,) = running.feeds
    step = feed._consumer.step
    jobs: list[Job] = []

    async def slow_answer(*args: Any, **options: Any) -> Any:
        answer = await step(*args, **options)
        if not jobs:
            jobs.append(await queue.add("build"))
            await queue._bind().client.delete(queue.keys().marker)
            feed._look_again()
        return answer

    monkeypatch.setattr(feed._consumer, "step", slow_answer)
    feed._look_again()
    await eventually(lambda: jobs)
    assert await jobs[0].result(timeout=15) == "seen"


# Being seen


async def test_workers_are_seen_in_client_list(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    """By the names that BullMQ's getWorkers() looks for."""
    queues = [make_queue(), make_queue()]
    worker = start_worker(*queues, name="host-1")
    expected = {f"bull:{base64.b64encode(q.name.encode()).decode()}:w:host-1" for q in queues}

    async def names() -> set[str]:
        return {client["name"] for client in await redis.client_list() if client["name"]}

    async def seen() -> bool:
        return await names() == expected

    await eventually(seen)
    await worker.stop()

    async def gone() -> bool:
        return await names() == set()

    await eventually(gone)


async def test_a_worker_names_itself(queue: Queue) -> None:
    assert Worker(queue).name != ""
    assert " " not in Worker(queue).name


@pytest.mark.parametrize("name", ["my worker", "w\n1", "wörker"])
def test_a_name_that_redis_refuses_is_refused_at_once(name: str) -> None:
    """CLIENT SETNAME takes printable ASCII without spaces; else the marker connection would never come up."""
    with pytest.raises(ConfigurationError, match="name"):
        Worker(Queue("orders"), name=name)


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"concurrency": -1}])
def test_a_worker_needs_slots_and_queues(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Worker(Queue("orders"), **options)
    with pytest.raises(ConfigurationError):
        Worker()


# Until empty


async def test_an_empty_queue_is_empty_at_once(queue: Queue) -> None:
    await drain(queue)


async def test_until_empty_runs_what_its_jobs_add_and_what_they_retry(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=5, backoff="fixed", delay=0))
    runs = 0

    @queue.job("build")
    async def build(job: JobContext) -> None:
        nonlocal runs
        runs += 1
        if job.attempt < 5:
            raise ValueError("again")

    job = await queue.add("build")
    await drain(queue)
    assert runs == 5
    assert (await job.refresh()).status == "completed"


async def test_until_empty_leaves_delayed_jobs(queue: Queue) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    await queue.add("build", delay=3600)
    await queue.add("build")
    await drain(queue)
    counts = await queue.counts()
    assert (counts["delayed"], counts["completed"]) == (1, 1)


async def test_until_empty_waits_for_what_runs(queue: Queue) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> None:
        await asyncio.sleep(0.2)

    await queue.add_many("build", [1, 2, 3])
    await drain(queue)
    assert (await queue.counts())["completed"] == 3


async def test_until_empty_without_a_server_says_so(make_queue: MakeQueue, unused_tcp_port: int) -> None:
    away = Queue("orders", redis_url=f"redis://127.0.0.1:{unused_tcp_port}")
    async with asyncio.timeout(15):
        with pytest.raises(RedisUnavailable):
            await Worker(away).run(until_empty=True)


async def test_a_worker_can_run_again(queue: Queue) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    worker = Worker(queue)
    for done in (1, 2):
        await queue.add("build")
        async with asyncio.timeout(20):
            await worker.run(until_empty=True)
        assert (await queue.counts())["completed"] == done
