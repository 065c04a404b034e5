"""Corral adds jobs; a stock BullMQ worker runs them, alone or beside ours."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from node_process import BOTH_VERSIONS, Node, Workers

from corral import Job, JobContext, JobFailed, Priority, Queue, Retry

pytestmark = BOTH_VERSIONS


@pytest.fixture
def queue(redis_url: str) -> Queue:
    return Queue("to-node", redis_url=redis_url, retry=Retry(attempts=1))


def echo(data: Any) -> dict[str, Any]:
    return {"echo": data, "by": "node"}


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "delayed": {"delay": 0.05},
    "prioritized": {"priority": Priority.HIGH},
    "delayed and prioritized": {"priority": Priority.LOW, "delay": 0.05},
    "custom id": {"job_id": "order-77"},
    "lifo": {"lifo": True},
    "explicit delays": {"retry": Retry(attempts=3, delays=(60, 300, 900), jitter=0.1)},
    "timeout": {"timeout": 5},
    "idempotency key": {"idempotency_key": "key-1"},
}


async def test_node_completes_every_kind_of_job_of_ours(redis_url: str, node: Node, queue: Queue) -> None:
    jobs: dict[str, Job] = {}
    for kind, options in KINDS.items():
        data = {"kind": kind, "text": "Grüße ☃", "list": [1, 2.5, None], "empty": {}}
        jobs[kind] = await queue.add("anything", data, **options)
    await node("worker.mjs", redis_url, "to-node")

    results = {kind: await job.result(timeout=20) for kind, job in jobs.items()}
    assert results == {
        kind: echo({"kind": kind, "text": "Grüße ☃", "list": [1, 2.5, None], "empty": {}}) for kind in KINDS
    }
    for job in jobs.values():
        await job.refresh()
        assert (job.status, job.processed_by, job.attempts_made) == ("completed", "node-worker", 1)
    assert jobs["custom id"].id == "order-77"


async def test_node_completes_a_bulk_of_ours(redis_url: str, node: Node, queue: Queue) -> None:
    jobs = await queue.add_many("anything", list(range(250)))
    await node("worker.mjs", redis_url, "to-node", "20")
    results = await asyncio.gather(*(job.result(timeout=20) for job in jobs))
    assert results == [echo(n) for n in range(250)]


async def test_node_retries_by_the_policy_that_we_wrote(redis_url: str, node: Node, queue: Queue) -> None:
    retry = Retry(attempts=3, backoff="exponential", delay=0.02)
    job = await queue.add("anything", {"failures": 2}, retry=retry)
    client = await node("client.mjs", redis_url, "to-node")
    await node("worker.mjs", redis_url, "to-node")

    assert await job.result(timeout=20) == echo({"failures": 2})
    await client.event("completed", jobId=job.id)
    assert client.events_of(job.id).count("delayed") == 2
    assert (await client.call("job", job.id))["opts"] == {
        "attempts": 3,
        "backoff": {"type": "exponential", "delay": 20},
    }
    await job.refresh()
    assert job.attempts_made == 3
    assert len(job.stacktrace) == 2


async def test_explicit_delays_make_node_wait_as_well(redis_url: str, node: Node, queue: Queue) -> None:
    """Node knows no list of delays; it must not retry at once, but wait the first of them."""
    job = await queue.add("anything", {"failures": 9}, retry=Retry(attempts=3, delays=(60, 300, 900)))
    client = await node("client.mjs", redis_url, "to-node")
    await node("worker.mjs", redis_url, "to-node")
    await client.event("delayed", jobId=job.id)
    assert (await client.call("job", job.id))["delay"] == 60_000


async def test_a_job_that_node_gives_up_raises_its_reason(redis_url: str, node: Node, queue: Queue) -> None:
    job = await queue.add("anything", {"failures": 9}, retry=Retry(attempts=2, backoff="fixed", delay=0.01))
    client = await node("client.mjs", redis_url, "to-node")
    await node("worker.mjs", redis_url, "to-node")

    with pytest.raises(JobFailed, match="run 2 fails"):
        await job.result(timeout=20)
    await client.event("retries-exhausted", jobId=job.id)
    await job.refresh()
    assert (job.status, job.failed_reason) == ("failed", "run 2 fails")


async def test_a_job_that_removes_itself_still_gives_its_result(
    redis_url: str, node: Node, queue: Queue
) -> None:
    job = await queue.add("anything", "x", remove_on_complete=True)
    waiting = asyncio.create_task(job.result(timeout=20))
    await node("worker.mjs", redis_url, "to-node")
    assert await waiting == echo("x")


async def test_both_kinds_of_workers_share_a_queue_and_do_each_job_once(
    redis_url: str, node: Node, workers: Workers
) -> None:
    queue = Queue("shared", redis_url=redis_url)
    ours: list[int] = []

    @queue.job("n")
    async def run(job: JobContext, data: int) -> dict[str, Any]:
        ours.append(data)
        await asyncio.sleep(0)
        return {"echo": data, "by": "corral"}

    client = await node("client.mjs", redis_url, "shared")
    theirs = await node("worker.mjs", redis_url, "shared", "10")
    await workers(queue, concurrency=10)

    async def add_here() -> list[str]:
        jobs: list[Job] = []
        for start in range(0, 1000, 100):
            jobs += await queue.add_many("n", list(range(start, start + 100)))
        return [job.id for job in jobs]

    async def add_there() -> list[str]:
        ids: list[str] = []
        for start in range(1000, 2000, 100):
            batch = [{"name": "n", "data": n, "opts": {}} for n in range(start, start + 100)]
            ids += await client.call("addBulk", batch)
        return ids

    here, there = await asyncio.gather(add_here(), add_there())
    ids = here + there
    assert len(set(ids)) == 2000
    await client.until(lambda: client.jobs["completed"] >= set(ids), "end of all jobs")

    def by_node() -> list[str]:
        return [e["jobId"] for e in theirs.events if e["event"] == "completed"]

    # The worker's own word comes over another pipe than the events.
    await theirs.until(lambda: len(ours) + len(by_node()) >= 2000, "its word of all jobs")
    done_by_node = by_node()
    assert len(ours) + len(done_by_node) == 2000
    assert len(ours) == len(set(ours))
    assert ours, "Corral got nothing"
    assert done_by_node, "Node got nothing"
    completions = Counter(e["jobId"] for e in client.events if e["event"] == "completed")
    assert set(completions.values()) == {1}
    values = [(await client.call("job", job_id))["returnvalue"]["echo"] for job_id in ids]
    assert sorted(values) == list(range(2000))
    assert await queue.counts() == {
        "waiting": 0,
        "active": 0,
        "delayed": 0,
        "prioritized": 0,
        "completed": 2000,
        "failed": 0,
        "waiting-children": 0,
    }
