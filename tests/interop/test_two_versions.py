"""BullMQ 5 and 6 on one queue with Corral: each job is done once, and none is lost that a sweep saw."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from node_process import Node, NodeProcess, Workers
from redis.asyncio import Redis

from corral import JobContext, Queue
from eventually import eventually


@pytest.fixture(autouse=True)
def quick_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds. Node's own workers keep their 30."""
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "1")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "1")


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
def queue(redis_url: str, ran: list[str]) -> Queue:
    queue = Queue("mixed", redis_url=redis_url)

    @queue.job("x")
    async def run(job: JobContext, data: Any) -> str:
        ran.append(job.id)
        await asyncio.sleep(0.002)
        return "corral"

    return queue


async def _clients(node: Node, redis_url: str) -> tuple[NodeProcess, NodeProcess]:
    five = await node("client.mjs", redis_url, "mixed", version="5.81")
    six = await node("client.mjs", redis_url, "mixed", version="6.7")
    return five, six


async def _no_paused_list(redis_url: str) -> None:
    """Until the worker's sweep was there."""
    async with Redis.from_url(redis_url) as redis:

        async def empty() -> bool:
            return not await redis.exists("bull:mixed:paused")

        await eventually(empty)


async def _bulk(client: NodeProcess, count: int) -> list[str]:
    ids: list[str] = []
    for start in range(0, count, 50):
        jobs = [{"name": "x", "data": {"n": n}, "opts": {}} for n in range(start, start + 50)]
        jobs[0]["opts"] = {"priority": 3}
        jobs[1]["opts"] = {"delay": 20}
        jobs[2]["opts"] = {"lifo": True}
        ids += await client.call("addBulk", jobs)
    return ids


async def test_all_on_one_queue_do_each_job_once(
    redis_url: str, node: Node, workers: Workers, queue: Queue, ran: list[str]
) -> None:
    five, six = await _clients(node, redis_url)
    theirs = [await node("worker.mjs", redis_url, "mixed", "5", version=v) for v in ("5.81", "6.7")]
    await workers(queue, concurrency=5)

    async def ours() -> list[str]:
        return [job.id for _ in range(6) for job in await queue.add_many("x", [{"n": n} for n in range(50)])]

    added = [i for ids in await asyncio.gather(_bulk(five, 300), _bulk(six, 300), ours()) for i in ids]
    assert len(set(added)) == 900
    await six.until(lambda: six.jobs["completed"] >= set(added), "end of all jobs")

    def runs() -> list[str]:
        node_runs = [e["jobId"] for w in theirs for e in w.events if e["event"] == "completed"]
        return ran + node_runs

    await eventually(lambda: len(runs()) >= 900)
    assert Counter(runs()) == Counter(added)
    assert all([ran, *(worker.jobs["completed"] for worker in theirs)])
    assert (await queue.counts())["completed"] == 900


async def test_bullmq_alone_loses_jobs(redis_url: str, node: Node, queue: Queue) -> None:
    """Why all this: without a Corral worker, what BullMQ 6 added is in no list any more."""
    five, six = await _clients(node, redis_url)
    await six.call("pause")
    lost = await six.call("add", "x", {}, {})
    kept = await five.call("add", "x", {}, {})
    assert (await queue.counts())["waiting"] == 2
    assert (await queue.admin.meta()).old_clients is not None
    await five.call("resume")
    assert (await queue.counts())["waiting"] == 1
    assert await six.call("state", kept) == "waiting"
    assert await six.call("state", lost) == "unknown"
    assert await queue.admin.remove_orphans(older_than=0, dry_run=True) == 1


@pytest.mark.parametrize("pauses", ["5.81", "6.7", "corral"])
@pytest.mark.parametrize("resumes", ["5.81", "6.7", "corral"])
async def test_a_pause_with_a_corral_worker_loses_nothing(
    redis_url: str, node: Node, workers: Workers, queue: Queue, ran: list[str], pauses: str, resumes: str
) -> None:
    """Jobs of all three before the pause and during it; the worker swept after the last one was added."""
    five, six = await _clients(node, redis_url)
    act: dict[str, tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[Any]]]] = {
        "5.81": (lambda: five.call("pause"), lambda: five.call("resume")),
        "6.7": (lambda: six.call("pause"), lambda: six.call("resume")),
        "corral": (queue.admin.pause, queue.admin.resume),
    }

    async def add() -> list[str]:
        ours = (await queue.add("x", {})).id
        return [await five.call("add", "x", {}, {}), await six.call("add", "x", {}, {}), ours]

    before = await add()
    await act[pauses][0]()
    await workers(queue, concurrency=1)
    await _no_paused_list(redis_url)
    during = await add()
    await _no_paused_list(redis_url)
    assert (await queue.counts())["waiting"] == (await six.counts())["waiting"] == 6
    assert not ran
    await act[resumes][1]()
    await eventually(lambda: len(ran) == 6)
    assert set(ran) == {*before, *during}
    seen = (await queue.admin.meta()).old_clients
    assert seen is not None


async def test_a_second_pause_of_bullmq_5_loses_nothing(
    redis_url: str, node: Node, workers: Workers, queue: Queue, ran: list[str]
) -> None:
    """It renames `wait` to `paused`, over what is there."""
    five, six = await _clients(node, redis_url)
    await five.call("pause")
    jobs = [await five.call("add", "x", {}, {})]
    await workers(queue)
    await _no_paused_list(redis_url)
    jobs.append(await six.call("add", "x", {}, {}))
    await five.call("pause")
    await _no_paused_list(redis_url)
    await five.call("pause")
    await five.call("resume")
    await eventually(lambda: len(ran) == 2)
    assert set(ran) == set(jobs)


async def test_what_the_sweep_did_not_see_is_lost_and_found_as_an_orphan(
    redis_url: str,
    node: Node,
    workers: Workers,
    queue: Queue,
    ran: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The limit that is written down: BullMQ 5 adds after the last sweep, and resumes before the next."""
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "600")
    six = await node("client.mjs", redis_url, "mixed", version="6.7")
    five = await node("client.mjs", redis_url, "mixed", version="5.81")  # last, so that its version is seen
    await six.call("pause")
    await workers(queue)

    async def swept() -> bool:
        async with Redis.from_url(redis_url) as redis:
            return bool(await redis.exists(queue.keys().old_clients))

    await eventually(swept)
    lost = await six.call("add", "x", {}, {})
    kept = await five.call("add", "x", {}, {})
    await five.call("resume")
    await eventually(lambda: ran == [kept])
    assert await six.call("state", lost) == "unknown"
    assert await queue.admin.remove_orphans(older_than=0, dry_run=True) == 1
