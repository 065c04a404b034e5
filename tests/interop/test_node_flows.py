"""Flows of Node's FlowProducer on Corral workers: their jobs settle through the official scripts."""

from __future__ import annotations

from typing import Any

import pytest
from node_process import BOTH_VERSIONS, Node, Workers

from corral import JobContext, Queue, Retry

pytestmark = BOTH_VERSIONS


@pytest.fixture
def queue(redis_url: str) -> Queue:
    queue = Queue("flow", redis_url=redis_url, retry=Retry(attempts=1))

    @queue.job("child")
    async def child(job: JobContext, data: dict[str, Any]) -> int:
        if data.get("fails"):
            raise ValueError("the child broke")
        return int(data["n"]) * 10

    @queue.job("parent")
    async def parent(job: JobContext, data: dict[str, Any]) -> str:
        return f"parent of {data['name']}"

    return queue


def tree(*children: dict[str, Any], **opts: Any) -> dict[str, Any]:
    return {
        "name": "parent",
        "queueName": "flow",
        "data": {"name": "all"},
        "opts": opts,
        "children": [{"name": "child", "queueName": "flow", **child} for child in children],
    }


async def test_a_parent_runs_after_its_children_with_their_values(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "flow")
    parent = await client.call("flow", tree({"data": {"n": 1}}, {"data": {"n": 2}}, {"data": {"n": 3}}))
    assert await client.call("state", parent) == "waiting-children"
    await workers(queue)

    assert await client.call("wait", parent, 20_000) == "parent of all"
    values = await client.call("childrenValues", parent)
    assert sorted(values.values()) == [10, 20, 30]
    completed = [e["jobId"] for e in client.events if e["event"] == "completed"]
    assert len(completed) == 4
    assert completed[-1] == parent


async def test_children_with_delay_priority_and_retries_count_as_well(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "flow")
    parent = await client.call(
        "flow",
        tree(
            {"data": {"n": 1}, "opts": {"delay": 20}},
            {"data": {"n": 2}, "opts": {"priority": 3, "removeOnComplete": True}},
            priority=2,
        ),
    )
    await workers(queue)
    assert await client.call("wait", parent, 20_000) == "parent of all"
    assert sorted((await client.call("childrenValues", parent)).values()) == [10, 20]


async def test_a_grandchild_holds_everybody(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "flow")
    flow = tree({"data": {"n": 1}})
    flow["children"][0]["children"] = [{"name": "child", "queueName": "flow", "data": {"n": 2}}]
    parent = await client.call("flow", flow)
    await workers(queue)
    assert await client.call("wait", parent, 20_000) == "parent of all"


async def test_a_failed_child_fails_a_parent_that_asked_for_it(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "flow")
    parent = await client.call(
        "flow", tree({"data": {"fails": True}, "opts": {"failParentOnFailure": True}}, {"data": {"n": 2}})
    )
    await workers(queue)
    failed = await client.event("failed", jobId=parent)
    assert "child" in failed["failedReason"]


async def test_a_failed_child_that_may_be_ignored_lets_the_parent_run(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "flow")
    ignored = {"ignoreDependencyOnFailure": True}
    parent = await client.call("flow", tree({"data": {"fails": True}, "opts": ignored}, {"data": {"n": 2}}))
    await workers(queue)
    assert await client.call("wait", parent, 20_000) == "parent of all"
    assert list((await client.call("childrenValues", parent)).values()) == [20]


async def test_our_children_release_a_parent_on_node(
    redis_url: str, node: Node, workers: Workers, queue: Queue
) -> None:
    client = await node("client.mjs", redis_url, "flow")
    other = await node("client.mjs", redis_url, "parents")
    flow = tree({"data": {"n": 4}})
    flow["queueName"] = "parents"
    parent = await client.call("flow", flow)
    await workers(queue)
    await node("worker.mjs", redis_url, "parents")
    done = await other.event("completed", jobId=parent)
    assert done["returnvalue"] == {"echo": {"name": "all"}, "by": "node"}
