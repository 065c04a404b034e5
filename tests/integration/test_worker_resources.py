"""Resources and hooks: opened once before the first job, there for whoever asks, closed after the last."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self

import pytest
from running_worker import MakeQueue, StartWorker, drain
from structlog.testing import capture_logs

from corral import JobContext, Queue, Retry, Settings, ThreadJobContext, Worker
from corral.errors import ConfigurationError, RedisUnavailable
from eventually import eventually

ONCE = Retry(attempts=1)


class Pool:
    def __init__(self) -> None:
        self.events: list[str] = []


class Database:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool


@pytest.fixture
def told() -> list[str]:
    return []


async def test_opened_once_and_closed_in_reverse_order(queue: Queue, told: list[str]) -> None:
    @queue.resource
    async def database(pool: Pool) -> AsyncIterator[Database]:
        told.append("database opens")
        yield Database(pool)
        told.append("database closes")

    @queue.resource
    def pool(settings: Settings) -> Iterator[Pool]:
        told.append(f"pool opens for {settings.prefix}")
        yield Pool()
        told.append("pool closes")

    seen: list[Database] = []

    @queue.job("build")
    async def build(job: JobContext, data: int, db: Database, *, pool: Pool) -> None:
        assert db.pool is pool
        seen.append(db)

    await queue.add_many("build", range(3))
    await drain(queue)
    assert len(seen) == 3
    assert len({id(db) for db in seen}) == 1
    assert told == ["pool opens for bull", "database opens", "database closes", "pool closes"]


async def test_threads_get_them_too(queue: Queue) -> None:
    @queue.resource
    def pool() -> Pool:
        return Pool()

    @queue.job("build")
    def build(job: ThreadJobContext, data: int, pool: Pool) -> str:
        return f"{type(pool).__name__} {threading.current_thread().name.partition('_')[0]}"

    job = await queue.add("build", 1)
    await drain(queue)
    assert await job.result(timeout=10) == "Pool corral-job"


async def test_one_function_on_several_queues_is_opened_once(make_queue: MakeQueue, told: list[str]) -> None:
    async def pool() -> AsyncIterator[Pool]:
        told.append("opens")
        yield Pool()
        told.append("closes")

    seen: list[Pool] = []
    queues = [make_queue(), make_queue()]
    for queue in queues:
        queue.resource(pool)

        @queue.job("build")
        async def build(job: JobContext, *, pool: Pool) -> None:
            seen.append(pool)

        await queue.add("build")
    await drain(*queues)
    assert len(seen) == 2
    assert seen[0] is seen[1]
    assert told == ["opens", "closes"]


async def test_a_workers_own_resources_serve_all_its_queues(make_queue: MakeQueue) -> None:
    class Local(Pool): ...

    def local() -> Local:
        return Local()

    queues = [make_queue(), make_queue()]
    jobs = []
    for queue in queues:

        @queue.job("build")
        async def build(job: JobContext, data: int, pool: Local) -> str:
            return type(pool).__name__

        jobs.append(await queue.add("build", 1))
    await Worker(*queues, resources=[local]).run(until_empty=True)
    assert [await job.result(timeout=10) for job in jobs] == ["Local", "Local"]


class AsyncClient:
    """A context manager by itself, as clients of databases and web services are."""

    told: list[str]

    def __init__(self, pool: Pool) -> None:
        self.told = pool.events

    async def __aenter__(self) -> Self:
        self.told.append("async enters")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.told.append("async leaves")


class Client:
    def __init__(self, pool: Pool) -> None:
        self.told = pool.events

    def __enter__(self) -> Self:
        self.told.append("enters")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        self.told.append(f"leaves with {kind}")


async def test_classes_are_entered_and_left(queue: Queue) -> None:
    pool = Pool()

    @queue.resource
    def the_pool() -> Pool:
        return pool

    queue.resource(AsyncClient)
    queue.resource(Client)

    @queue.job("build")
    async def build(job: JobContext, data: int, one: AsyncClient, other: Client) -> None:
        pool.events.append(f"{type(one).__name__} {type(other).__name__}")

    await queue.add("build", 1)
    await drain(queue)
    assert pool.events == [
        "async enters", "enters", "AsyncClient Client", "leaves with None", "async leaves"
    ]  # fmt: skip


# What goes wrong


async def test_a_missing_resource_is_said_before_anything_is_opened(queue: Queue, told: list[str]) -> None:
    @queue.resource
    def pool() -> Pool:
        told.append("opens")
        return Pool()

    @queue.job("build")
    async def build(job: JobContext, data: int, db: Database) -> None: ...

    await queue.add("build", 1)
    with pytest.raises(ConfigurationError, match=r"'build'.*asks for Database \(parameter 'db'\)"):
        await Worker(queue).run()
    assert told == []
    assert (await queue.counts())["waiting"] == 1


@pytest.mark.parametrize("what", ["middleware", "on_startup", "on_shutdown"])
async def test_so_is_one_that_a_hook_asks_for(queue: Queue, what: str) -> None:
    async def hook(job: Any = None, run: Any = None, *, db: Database) -> None: ...

    getattr(queue, what)(hook)
    with pytest.raises(ConfigurationError, match="hook asks for Database"):
        await Worker(queue).run()


async def test_one_that_does_not_open_ends_the_worker_and_closes_the_others(
    queue: Queue, told: list[str]
) -> None:
    @queue.resource
    async def pool() -> AsyncIterator[Pool]:
        yield Pool()
        told.append("pool closes")

    @queue.resource
    async def database(pool: Pool) -> Database:
        raise ConnectionRefusedError("the database is away")

    @queue.on_shutdown
    def never() -> None:
        told.append("never, for nothing was started")

    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    await queue.add("build")
    with capture_logs() as lines, pytest.raises(ConnectionRefusedError, match="away"):
        await Worker(queue).run()
    assert told == ["pool closes"]
    assert ("resource_open_failed", "database") in [(line["event"], line.get("resource")) for line in lines]
    assert (await queue.counts())["waiting"] == 1


async def test_one_that_does_not_close_keeps_no_other_open(queue: Queue, told: list[str]) -> None:
    @queue.resource
    async def pool() -> AsyncIterator[Pool]:
        yield Pool()
        told.append("pool closes")

    @queue.resource
    async def database(pool: Pool) -> AsyncIterator[Database]:
        yield Database(pool)
        raise ValueError("cannot close")

    @queue.job("build")
    async def build(job: JobContext) -> int:
        return 7

    job = await queue.add("build")
    with capture_logs() as lines:
        await drain(queue)
    assert await job.result(timeout=10) == 7
    assert told == ["pool closes"]
    assert ("resource_close_failed", "database") in [(line["event"], line.get("resource")) for line in lines]


async def test_closed_when_the_run_is_cancelled(
    queue: Queue, start_worker: StartWorker, told: list[str]
) -> None:
    started = asyncio.Event()

    @queue.resource
    async def pool() -> AsyncIterator[Pool]:
        yield Pool()
        await asyncio.sleep(0)
        told.append("pool closes")

    @queue.job("build")
    async def build(job: JobContext, *, pool: Pool) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            told.append("job ends")

    await queue.add("build")
    running = start_worker(queue)
    async with asyncio.timeout(15):
        await started.wait()
        running.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running.task
    assert told == ["job ends", "pool closes"]


async def test_closed_when_redis_is_not_there(unused_tcp_port: int, told: list[str]) -> None:
    queue = Queue("orders", redis_url=f"redis://127.0.0.1:{unused_tcp_port}")

    @queue.resource
    async def pool() -> AsyncIterator[Pool]:
        yield Pool()
        told.append("pool closes")

    with pytest.raises(RedisUnavailable):
        await Worker(queue).run(until_empty=True)
    assert told == ["pool closes"]


async def test_a_task_group_may_be_a_resource(queue: Queue) -> None:
    """It must be left by the task that entered it."""

    class Background(asyncio.TaskGroup): ...

    ended = asyncio.Event()

    @queue.resource
    async def background() -> AsyncIterator[Background]:
        async with Background() as group:
            yield group

    @queue.job("build")
    async def build(job: JobContext, *, group: Background) -> None:
        async def later() -> None:
            await asyncio.sleep(0.01)
            ended.set()

        group.create_task(later())

    await queue.add("build")
    await drain(queue)
    assert ended.is_set()


# Hooks


async def test_hooks_frame_the_jobs(make_queue: MakeQueue, told: list[str]) -> None:
    queue, other = make_queue(), make_queue()

    @queue.resource
    async def pool() -> AsyncIterator[Pool]:
        told.append("pool opens")
        yield Pool()
        told.append("pool closes")

    @queue.on_startup
    async def warm(pool: Pool) -> None:
        told.append(f"warm {type(pool).__name__}")

    @queue.on_startup
    @other.on_startup
    def tell() -> None:
        told.append("tell")

    @queue.on_shutdown
    async def flush(pool: Pool) -> None:
        told.append("flush")

    @queue.on_shutdown
    def say_goodbye() -> None:
        told.append("goodbye")

    @queue.job("build")
    async def build(job: JobContext) -> None:
        told.append("job")

    await queue.add("build")
    await drain(queue, other)
    assert told == [
        "pool opens", "warm Pool", "tell", "job", "goodbye", "flush", "pool closes"
    ]  # fmt: skip


async def test_a_startup_hook_that_fails_ends_the_worker(queue: Queue, told: list[str]) -> None:
    @queue.resource
    async def pool() -> AsyncIterator[Pool]:
        yield Pool()
        told.append("pool closes")

    @queue.on_startup
    def refuse() -> None:
        raise ValueError("no model file")

    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    await queue.add("build")
    with pytest.raises(ValueError, match="no model file"):
        await Worker(queue).run()
    assert told == ["pool closes"]
    assert (await queue.counts())["waiting"] == 1


async def test_a_shutdown_hook_that_fails_is_logged(queue: Queue, told: list[str]) -> None:
    @queue.on_shutdown
    async def first() -> None:
        told.append("first")

    @queue.on_shutdown
    async def last() -> None:
        raise ValueError("too late")

    with capture_logs() as lines:
        await drain(queue)
    assert told == ["first"]
    assert "shutdown_hook_failed" in [line["event"] for line in lines]


async def test_a_handler_declared_late_fails_by_itself(
    make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    """The worker runs already: what it asks for cannot be opened any more, and others must not suffer."""
    queue = make_queue(retry=ONCE)
    await start_worker(queue).ready()

    @queue.job("build")
    async def build(job: JobContext, data: int, db: Database) -> None: ...

    @queue.job("other")
    async def other(job: JobContext) -> int:
        return 1

    job = await queue.add("build", 1)

    async def failed() -> bool:
        return (await job.refresh()).status == "failed"

    await eventually(failed)
    assert job.failed_reason is not None
    assert "asks for Database" in job.failed_reason
    assert await (await queue.add("other")).result(timeout=10) == 1
