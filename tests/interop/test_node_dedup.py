"""Deduplication between stock Node and Corral: whoever adds, whoever runs, one job is kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from node_process import BOTH_VERSIONS, Node, Workers
from redis.asyncio import Redis

from corral import Dedup, JobContext, Queue
from eventually import eventually

pytestmark = BOTH_VERSIONS

MODES: dict[str, tuple[Dedup, dict[str, Any]]] = {
    "simple": (Dedup.simple("d"), {"id": "d"}),
    "throttle": (Dedup.throttle("d", 60), {"id": "d", "ttl": 60_000}),
    "extend": (Dedup("d", ttl=60, extend=True), {"id": "d", "ttl": 60_000, "extend": True}),
    "keep last": (Dedup.keep_last("d"), {"id": "d", "keepLastIfActive": True}),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("first", ["node", "corral"])
async def test_one_sides_job_keeps_out_the_others(redis_url: str, node: Node, mode: str, first: str) -> None:
    ours, theirs = MODES[mode]
    queue = Queue("dedup", redis_url=redis_url)
    client = await node("client.mjs", redis_url, "dedup")
    if first == "node":
        kept = await client.call("add", "x", {"by": "node"}, {"deduplication": theirs})
        job = await queue.add("x", {"by": "corral"}, dedup=ours)
        assert (job.id, job.existed, job.data) == (kept, True, {"by": "node"})
    else:
        job = await queue.add("x", {"by": "corral"}, dedup=ours)
        assert not job.existed
        kept = await client.call("add", "x", {"by": "node"}, {"deduplication": theirs})
        assert kept == job.id
    assert (await client.event("deduplicated", jobId=kept))["deduplicationId"] == "d"
    assert await client.call("dedupJobId", "d") == await queue.dedup_job_id("d") == kept
    assert await client.call("ids", "waiting") == [kept]


async def test_node_reads_our_job_as_its_own(redis_url: str, node: Node) -> None:
    queue = Queue("dedup", redis_url=redis_url)
    client = await node("client.mjs", redis_url, "dedup")
    added = await queue.add("x", {"n": 1}, dedup=Dedup.debounce("d", 60), keep_logs=5, remove_on_complete=3)
    by_node = await client.call(
        "add",
        "x",
        {"n": 1},
        {
            "attempts": 3,
            "backoff": {"type": "exponential", "delay": 1000},
            "delay": 60_000,
            "keepLogs": 5,
            "removeOnComplete": {"count": 3},
            "deduplication": {"id": "other", "ttl": 60_000, "extend": True, "replace": True},
        },
    )
    ours, theirs = await client.call("job", added.id), await client.call("job", by_node)
    assert ours["deduplicationId"] == "d"
    assert theirs["deduplicationId"] == "other"
    assert theirs["opts"].pop("deduplication") == ours["opts"].pop("deduplication") | {"id": "other"}
    different = {"id", "timestamp", "deduplicationId", "debounceId"}  # the last by BullMQ 5
    assert {k: v for k, v in ours.items() if k not in different} == {
        k: v for k, v in theirs.items() if k not in different
    }


@pytest.mark.parametrize("first", ["node", "corral"])
async def test_a_debounced_job_is_replaced_by_the_other_side(redis_url: str, node: Node, first: str) -> None:
    queue = Queue("dedup", redis_url=redis_url)
    client = await node("client.mjs", redis_url, "dedup")
    opts = {"delay": 60_000, "deduplication": {"id": "d", "ttl": 60_000, "extend": True, "replace": True}}

    async def by_node() -> str:
        job_id: str = await client.call("add", "x", {"by": "node"}, opts)
        return job_id

    async def by_us() -> str:
        return (await queue.add("x", {"by": "corral"}, dedup=Dedup.debounce("d", 60))).id

    older, newer = (await by_node(), await by_us()) if first == "node" else (await by_us(), await by_node())
    assert older != newer
    await client.event("removed", jobId=older)
    assert await client.call("ids", "delayed") == [newer]
    assert await queue.dedup_job_id("d") == newer


async def test_a_node_worker_frees_our_id_and_runs_the_last_of_ours(redis_url: str, node: Node) -> None:
    queue = Queue("dedup", redis_url=redis_url)
    client = await node("client.mjs", redis_url, "dedup")
    # Held active by hand, for as long as the adds take: the stock worker of the tests never waits.
    job = await queue.add("x", {"n": 1}, dedup=Dedup.keep_last("d"))
    async with Redis.from_url(redis_url) as redis:
        await redis.lmove("bull:dedup:wait", "bull:dedup:active", "RIGHT", "LEFT")
        for n in (2, 3):
            assert (await queue.add("x", {"n": n}, dedup=Dedup.keep_last("d"))).id == job.id
        await redis.lmove("bull:dedup:active", "bull:dedup:wait", "RIGHT", "LEFT")
    await node("worker.mjs", redis_url, "dedup")
    assert (await job.result(timeout=20))["echo"] == {"n": 1}
    next_id = str(int(job.id) + 2)
    assert (await client.call("wait", next_id, 20_000))["echo"] == {"n": 3}

    async def released() -> bool:
        return await queue.dedup_job_id("d") is None

    await eventually(released)


async def test_our_worker_runs_the_last_that_node_added_meanwhile(
    redis_url: str, node: Node, workers: Workers
) -> None:
    queue = Queue("dedup", redis_url=redis_url)
    started, go = asyncio.Event(), asyncio.Event()

    @queue.job("x")
    async def run(job: JobContext, data: dict[str, int]) -> int:
        started.set()
        await go.wait()
        return data["n"]

    client = await node("client.mjs", redis_url, "dedup")
    opts = {"attempts": 2, "priority": 3, "deduplication": {"id": "d", "keepLastIfActive": True}}
    first = await client.call("add", "x", {"n": 1}, opts)
    await workers(queue)
    await started.wait()
    for n in (2, 3):
        assert await client.call("add", "x", {"n": n}, opts) == first
    assert await client.call("dedupJobId", "d") == first
    go.set()
    assert await client.call("wait", first, 20_000) == 1
    last = await client.event("completed", returnvalue=3)
    again = await client.call("job", last["jobId"])
    assert (again["priority"], again["opts"]["attempts"], again["deduplicationId"]) == (3, 2, "d")
    await client.event("drained")
    assert await client.call("dedupJobId", "d") is None
    assert [e["returnvalue"] for e in client.events if e["event"] == "completed"] == [1, 3]


async def test_an_id_that_we_release_lets_node_in(redis_url: str, node: Node) -> None:
    queue = Queue("dedup", redis_url=redis_url)
    client = await node("client.mjs", redis_url, "dedup")
    opts = {"deduplication": {"id": "d"}}
    first = await client.call("add", "x", {}, opts)
    assert await queue.release_dedup("d") is True
    second = await client.call("add", "x", {}, opts)
    assert second != first
    assert await queue.dedup_job_id("d") == second
