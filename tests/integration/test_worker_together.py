"""Many jobs, many slots, several queues and workers; how they are seen, and when they are through."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Job, JobContext, Queue, Retry, Worker
from corral.errors import ConfigurationError, RedisUnavailable
from corral.worker import idle
from eventually import eventually

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
    expected.add("corral:control:host-1")  # listens for cancellations; BullMQ takes it for no worker

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
