"""What we do to a queue, stock BullMQ sees and goes on with; and the other way round."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from node_process import BOTH_VERSIONS, Node, NodeProcess, Workers

from corral import Job, JobContext, Priority, Queue, Retry
from eventually import eventually

pytestmark = BOTH_VERSIONS


@pytest.fixture
def queue(redis_url: str) -> Queue:
    queue = Queue("shared", redis_url=redis_url, retry=Retry(attempts=1))

    @queue.job("x")
    async def run(job: JobContext, data: Any) -> Any:
        if data == "bad":
            raise ValueError("bad luck")
        return data

    return queue


async def _counts_agree(queue: Queue, client: NodeProcess) -> dict[str, int]:
    ours: dict[str, int] = await queue.counts()
    assert await client.counts() == ours
    return ours


async def _fail(queue: Queue, workers: Workers, client: NodeProcess, **options: Any) -> list[Job]:
    """Jobs that our worker has failed; it has ended again."""
    jobs = await queue.add_many("x", ["bad"] * 3, **options)
    worker = await workers(queue)
    for job in jobs:
        await client.event("failed", jobId=job.id)
    worker.stop()
    await eventually(lambda: not worker.health()["queues"])
    return jobs


async def test_node_sees_our_pause_and_goes_on_at_our_resume(
    redis_url: str, node: Node, queue: Queue, node_version: str
) -> None:
    client = await node("client.mjs", redis_url, "shared")
    await queue.admin.pause()
    await client.event("paused")
    assert await client.call("isPaused") is True
    await node("worker.mjs", redis_url, "shared")
    job = await queue.add("x", 1)
    assert (await _counts_agree(queue, client))["waiting"] == 1

    await queue.admin.resume()
    await client.event("resumed")
    assert await client.call("isPaused") is False
    assert await job.result(timeout=20) == {"echo": 1, "by": "node"}

    await client.call("pause")
    assert await queue.admin.is_paused()
    written_by = (await queue.admin.meta()).written_by
    assert written_by is not None
    assert written_by.startswith(f"bullmq:{node_version}.")


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("priority", [None, Priority.LOW])
async def test_a_job_that_we_retry_runs_on_node(
    redis_url: str, node: Node, workers: Workers, queue: Queue, bulk: bool, priority: Priority | None
) -> None:
    client = await node("client.mjs", redis_url, "shared")
    jobs = await _fail(queue, workers, client, priority=priority)
    if bulk:
        assert await queue.admin.retry_all() == 3
    else:
        for job in jobs:
            await queue.admin.retry(job.id)
    state = "prioritized" if priority else "waiting"
    assert (await _counts_agree(queue, client))[state] == 3
    stored = await client.call("job", jobs[0].id)
    assert (stored["attemptsMade"], stored["priority"]) == (0, priority or 0)
    assert "failedReason" not in stored

    await node("worker.mjs", redis_url, "shared")
    for job in jobs:
        assert await client.call("wait", job.id, 20_000) == {"echo": "bad", "by": "node"}
    assert (await client.call("job", jobs[0].id))["attemptsMade"] == 1


async def test_a_job_that_node_retries_runs_on_ours(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "shared")
    (job, *_) = await _fail(queue, workers, client)
    await queue.admin.update_data(job.id, "good")
    await client.call("retry", job.id, "failed")
    await workers(queue)
    assert await job.result(timeout=20) == "good"


async def test_every_state_counts_alike_after_what_we_did(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "shared")
    await _fail(queue, workers, client)
    waiting = await queue.add_many("x", list(range(4)))
    delayed = await queue.add_many("x", list(range(4)), delay=3600)
    urgent = await queue.add_many("x", list(range(4)), delay=3600, priority=2)
    parent = await client.call("flow", {
        "name": "x", "queueName": "shared", "data": 1,
        "children": [{"name": "x", "queueName": "elsewhere", "data": 2}],
    })  # fmt: skip
    await _counts_agree(queue, client)

    await queue.admin.promote(delayed[0].id)
    assert await client.call("state", delayed[0].id) == "waiting"
    await queue.admin.change_priority(waiting[0].id, 7)
    assert await client.call("perPriority", [0, 7]) == {"0": 4, "7": 1}
    await queue.admin.change_delay(delayed[1].id, 7200)
    assert (await client.call("job", delayed[1].id))["delay"] == 7_200_000
    await queue.admin.update_data(waiting[1].id, {"other": True})
    assert await client.call("data", waiting[1].id) == {"other": True}
    await _counts_agree(queue, client)

    await queue.admin.remove(waiting[2].id)
    await client.event("removed", jobId=waiting[2].id)
    assert await queue.admin.promote_all(limit=5) == 5
    assert await queue.admin.clean("failed", limit=1) == 1
    await client.event("waiting", jobId=urgent[0].id)
    counts = await _counts_agree(queue, client)
    assert (counts["failed"], counts["delayed"], counts["waiting-children"]) == (2, 2, 1)

    await queue.admin.drain(delayed=True)
    counts = await _counts_agree(queue, client)
    assert {state for state, count in counts.items() if count} == {"failed", "waiting-children"}
    await queue.admin.remove(parent)
    assert await client.call("removeOrphaned") == 0
    assert await queue.admin.remove_orphans(older_than=0) == 0
    await _counts_agree(queue, client)


async def test_what_node_adds_we_list_search_and_hear_of(redis_url: str, node: Node, queue: Queue) -> None:
    client = await node("client.mjs", redis_url, "shared")
    first = await client.call("add", "mail", {"to": {"id": 7}}, {})
    second = await client.call("add", "mail", {"to": {"id": 8}}, {"delay": 60_000, "priority": 3})
    (found,) = (await queue.browse.search(name="mail", where={"to.id": 7})).jobs
    assert found.id == first
    assert [job.id for job in await queue.browse.jobs("delayed")] == [second]
    assert (await queue.browse.search(id=second, states=["delayed"])).jobs[0].data == {"to": {"id": 8}}

    async with aclosing(queue.events("0")) as events, asyncio.timeout(20):
        heard = [await anext(events) for _ in range(4)]
    assert [(event.name, event.job_id) for event in heard] == [
        ("added", first), ("waiting", first), ("added", second), ("delayed", second),
    ]  # fmt: skip


async def test_an_obliterated_queue_begins_anew_on_both_sides(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "shared")
    await _fail(queue, workers, client)
    await queue.add_many("x", list(range(30)), delay=60)
    await client.call("schedule", "nightly", {"every": 3_600_000})
    await queue.admin.obliterate()
    assert not any((await _counts_agree(queue, client)).values())
    assert await client.call("isPaused") is False

    assert await client.call("add", "x", 5, {}) == "1"
    await client.call("obliterate")
    assert not any((await queue.counts()).values())
