"""What Node reads of our queues and workers is what is there."""

from __future__ import annotations

import asyncio

import pytest
from node_process import BOTH_VERSIONS, Node, NodeProcess, Workers

from corral import JobContext, Priority, Queue, Retry

pytestmark = BOTH_VERSIONS


@pytest.fixture
async def busy(redis_url: str) -> tuple[Queue, asyncio.Event, asyncio.Event]:
    """A queue whose `hold` jobs say when they run and end when they may."""
    queue = Queue("watched", redis_url=redis_url, retry=Retry(attempts=1))
    started, may_end = asyncio.Event(), asyncio.Event()

    @queue.job("hold")
    async def hold(job: JobContext, data: None) -> None:
        await job.log("first row")
        await job.log("zweite Zeile ☃")
        started.set()
        await may_end.wait()

    @queue.job("quick")
    async def quick(job: JobContext, data: int) -> int:
        return data

    @queue.job("bad")
    async def bad(job: JobContext, data: None) -> None:
        raise ValueError("bad")

    return queue, started, may_end


async def test_our_workers_have_names_that_node_finds(redis_url: str, node: Node, workers: Workers) -> None:
    # A name with characters that base64 changes, to see that both sides write it alike.
    queue, other = Queue("wörk?er-queue", redis_url=redis_url), Queue("other", redis_url=redis_url)
    for each in (queue, other):
        each.job("noop")(_noop)
    client = await node("client.mjs", redis_url, "wörk?er-queue")
    assert await client.call("workersCount") == 0

    await workers(queue, other, name="first")
    await workers(queue, name="second")
    await workers(other, name="elsewhere")
    await (await queue.add("noop")).result(timeout=20)
    await _until(client, 2)

    found = await client.call("workers")
    assert sorted(w["rawname"].rpartition(":w:")[2] for w in found) == ["first", "second"]
    assert {w["name"] for w in found} == {"wörk?er-queue"}


async def _noop(job: JobContext) -> None:
    pass


async def _until(client: NodeProcess, count: int) -> None:
    """A worker's name is set when its blocking connection opens, a moment after it started."""
    async with asyncio.timeout(20):
        while await client.call("workersCount") != count:
            await asyncio.sleep(0.01)


async def test_node_counts_and_lists_what_we_count(
    redis_url: str, node: Node, workers: Workers, busy: tuple[Queue, asyncio.Event, asyncio.Event]
) -> None:
    queue, started, may_end = busy
    client = await node("client.mjs", redis_url, "watched")
    worker = await workers(queue, concurrency=1)
    done = await queue.add("quick", 1)
    await done.result(timeout=20)
    failing = await queue.add("bad")
    await client.event("failed", jobId=failing.id)
    held = await queue.add("hold")
    async with asyncio.timeout(20):
        await started.wait()
    waiting = await queue.add_many("quick", [2, 3])
    urgent = await queue.add("quick", 4, priority=Priority.HIGH)
    later = await queue.add("quick", 5, delay=3600)

    states = {
        "completed": [done.id],
        "failed": [failing.id],
        "active": [held.id],
        "waiting": sorted(job.id for job in waiting),
        "prioritized": [urgent.id],
        "delayed": [later.id],
        "waiting-children": [],
    }
    assert await client.counts() == {state: len(ids) for state, ids in states.items()}
    assert await queue.counts() == {state: len(ids) for state, ids in states.items()}
    assert {state: sorted(await client.call("ids", state)) for state in states} == states
    for state, ids in states.items():
        for job_id in ids:
            assert await client.call("state", job_id) == state
            job = await queue.get(job_id)
            assert job
            assert job.status == ("waiting" if state == "prioritized" else state)
    worker.stop()
    may_end.set()


async def test_node_reads_our_logs_and_progress(
    redis_url: str, node: Node, workers: Workers, busy: tuple[Queue, asyncio.Event, asyncio.Event]
) -> None:
    queue, _, may_end = busy
    may_end.set()
    client = await node("client.mjs", redis_url, "watched")
    await workers(queue)
    job = await queue.add("hold")
    await job.result(timeout=20)

    assert await client.call("logs", job.id) == {"logs": ["first row", "zweite Zeile ☃"], "count": 2}
    assert await job.logs() == ["first row", "zweite Zeile ☃"]


async def test_pause_by_node_stops_us_and_resume_goes_on(
    redis_url: str, node: Node, workers: Workers, busy: tuple[Queue, asyncio.Event, asyncio.Event]
) -> None:
    queue, started, may_end = busy
    client = await node("client.mjs", redis_url, "watched")
    await workers(queue, concurrency=1)
    held = await queue.add("hold")
    async with asyncio.timeout(20):
        await started.wait()

    await client.call("pause")
    left = await queue.add("quick", 7)
    may_end.set()
    await held.result(timeout=20)  # what runs may end, and the call that settles it fetches nothing
    job = await queue.get(left.id)
    assert job
    assert job.status == "waiting"
    assert (await client.counts())["active"] == 0

    await client.call("resume")
    assert await left.result(timeout=20) == 7


async def test_a_pause_before_the_worker_starts_holds(
    redis_url: str, node: Node, workers: Workers, busy: tuple[Queue, asyncio.Event, asyncio.Event]
) -> None:
    queue, _, _ = busy
    client = await node("client.mjs", redis_url, "watched")
    await client.call("pause")
    jobs = [await queue.add("quick", 1), await queue.add("quick", 2, delay=0.001)]
    await workers(queue)
    await _until(client, 1)
    assert await client.call("isPaused") is True
    assert (await client.counts())["completed"] == 0

    await client.call("resume")
    assert [await job.result(timeout=20) for job in jobs] == [1, 2]


async def test_a_concurrency_set_by_node_holds_over_all_our_workers(
    redis_url: str, node: Node, workers: Workers
) -> None:
    queue = Queue("limited", redis_url=redis_url)
    running, most = 0, 0

    @queue.job("x")
    async def run(job: JobContext, data: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1

    client = await node("client.mjs", redis_url, "limited")
    await client.call("setConcurrency", 2)
    for _ in range(2):
        await workers(queue, concurrency=10)
    jobs = await queue.add_many("x", list(range(40)))
    await asyncio.gather(*(job.result(timeout=30) for job in jobs))
    assert most == 2


async def test_a_rate_limit_set_by_node_holds_over_all_our_workers(
    redis_url: str, node: Node, workers: Workers
) -> None:
    queue = Queue("limited", redis_url=redis_url)
    queue.job("noop")(_noop)
    client = await node("client.mjs", redis_url, "limited")
    await client.call("setRateLimit", 3, 200)
    for _ in range(2):
        await workers(queue, concurrency=10)
    jobs = await queue.add_many("noop", [None] * 9)
    await asyncio.gather(*(job.result(timeout=30) for job in jobs))

    starts = sorted([(await client.call("job", job.id))["processedOn"] for job in jobs])
    # A window opens with its first job, and the fourth belongs to the next. 2 ms: both clocks round.
    assert all(later - first >= 198 for first, later in zip(starts[::3], starts[3::3], strict=False))
