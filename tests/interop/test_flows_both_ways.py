"""One flow, two languages: added by either side, its parents and children run by either side."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis.asyncio as aioredis
from node_process import BOTH_VERSIONS, Node, NodeProcess, Workers

from corral import Flow, JobContext, JobFailed, OnFailure, Queue, Retry
from corral.family import StuckReason
from eventually import eventually

pytestmark = BOTH_VERSIONS

ONCE = Retry(attempts=1)

#: Our policies in the words of a Node producer.
NODE_OPTIONS = {
    OnFailure.FAIL_PARENT: "failParentOnFailure",
    OnFailure.CONTINUE: "continueParentOnFailure",
    OnFailure.IGNORE: "ignoreDependencyOnFailure",
    OnFailure.REMOVE: "removeDependencyOnFailure",
}

#: What a parent sees of a child that failed, by policy. Its other child gives 10 or {"echo": …}.
SEEN = {OnFailure.CONTINUE: 1, OnFailure.IGNORE: 1, OnFailure.REMOVE: 0}

POLICIES = pytest.mark.parametrize("policy", list(OnFailure))


def queue_of(name: str, redis_url: str) -> Queue:
    """A queue whose Corral workers do what worker.mjs does."""
    queue = Queue(name, redis_url=redis_url, retry=ONCE)

    @queue.job("child")
    async def child(job: JobContext, data: dict[str, Any]) -> dict[str, Any]:
        if data.get("failures"):
            raise ValueError("run 1 fails")
        return {"echo": data, "by": "corral"}

    @queue.job("parent")
    async def parent(job: JobContext, data: Any) -> dict[str, Any]:
        await job.wait_for_children()  # CONTINUE lets the parent go before all children are through
        values, ignored = await job.children_values(), await job.ignored_failures()
        return {"values": list(values.values()), "ignored": list(ignored.values()), "by": "corral"}

    return queue


@pytest.fixture
def reports(redis_url: str) -> Queue:
    return queue_of("reports", redis_url)


@pytest.fixture
def pages(redis_url: str) -> Queue:
    return queue_of("pages", redis_url)


def our_flow(reports: Queue, pages: Queue, policy: OnFailure) -> Flow:
    """Two children, of which one fails. It comes second: CONTINUE then finds the first one done."""
    good = Flow(pages, "child", {"n": 1})
    bad = Flow(pages, "child", {"failures": 9}, on_failure=policy)
    return Flow(reports, "parent", {"family": True}, children=[good, bad])


def node_flow(policy: OnFailure | None, *, good: bool = True) -> dict[str, Any]:
    options = {} if policy is None else {NODE_OPTIONS[policy]: True}
    bad = {"name": "child", "queueName": "pages", "data": {"failures": 9}, "opts": options}
    children = [{"name": "child", "queueName": "pages", "data": {"n": 1}}] if good else []
    return {
        "name": "parent",
        "queueName": "reports",
        "data": {"family": True},
        "children": [*children, bad],
    }


async def outcome_is_right(
    client: NodeProcess, parent: str, policy: OnFailure, *, by: str, children_by: str
) -> None:
    """What Node sees of the parent's end, whoever ran it."""
    if policy is OnFailure.FAIL_PARENT:
        failed = await client.event("failed", jobId=parent)
        assert failed["failedReason"].startswith("child bull:pages:")
        return
    value = (await client.event("completed", jobId=parent))["returnvalue"]
    assert value["by"] == by
    assert value["values"] == [{"echo": {"n": 1}, "by": children_by}]
    assert len(value["ignored"]) == SEEN[policy]
    assert all("run 1 fails" in reason for reason in value["ignored"])
    assert list((await client.call("ignoredFailures", parent)).values()) == value["ignored"]


@POLICIES
async def test_added_by_node_run_by_corral(
    redis_url: str, node: Node, workers: Workers, reports: Queue, pages: Queue, policy: OnFailure
) -> None:
    client = await node("client.mjs", redis_url, "reports")
    parent = await client.call("flow", node_flow(policy))
    await workers(reports)
    await workers(pages, concurrency=1)
    await outcome_is_right(client, parent, policy, by="corral", children_by="corral")


@POLICIES
async def test_added_by_corral_run_by_node(
    redis_url: str, node: Node, reports: Queue, pages: Queue, policy: OnFailure
) -> None:
    client = await node("client.mjs", redis_url, "reports")
    job = await our_flow(reports, pages, policy).add()
    assert await client.call("state", job.id) == "waiting-children"
    await node("worker.mjs", redis_url, "pages")
    await node("worker.mjs", redis_url, "reports")
    await outcome_is_right(client, job.id, policy, by="node", children_by="node")
    if policy is OnFailure.FAIL_PARENT:
        with pytest.raises(JobFailed, match="child bull:pages:"):
            await job.result(timeout=10)
    else:
        assert (await job.result(timeout=10))["by"] == "node"


@POLICIES
async def test_children_on_corral_and_their_parent_on_node(
    redis_url: str, node: Node, workers: Workers, reports: Queue, pages: Queue, policy: OnFailure
) -> None:
    client = await node("client.mjs", redis_url, "reports")
    job = await our_flow(reports, pages, policy).add()
    await workers(pages, concurrency=1)
    await node("worker.mjs", redis_url, "reports")
    await outcome_is_right(client, job.id, policy, by="node", children_by="corral")


@POLICIES
async def test_children_on_node_and_their_parent_on_corral(
    redis_url: str, node: Node, workers: Workers, reports: Queue, policy: OnFailure
) -> None:
    client = await node("client.mjs", redis_url, "reports")
    parent = await client.call("flow", node_flow(policy))
    await node("worker.mjs", redis_url, "pages")
    await workers(reports)
    await outcome_is_right(client, parent, policy, by="corral", children_by="node")


async def test_both_producers_write_the_same_jobs(
    redis_url: str, node: Node, reports: Queue, pages: Queue
) -> None:
    """Key by key: what Node's FlowProducer stores for a flow, and what Corral stores for the same."""
    client = await node("client.mjs", redis_url, "reports")
    theirs = node_flow(OnFailure.IGNORE)
    theirs["opts"] = {"priority": 4}
    theirs["children"][0]["opts"] = {"delay": 60_000, "failParentOnFailure": True}
    theirs["children"][1]["opts"]["priority"] = 2
    node_ids = await client.call("idsOfFlow", theirs)
    flow = our_flow(reports, pages, OnFailure.IGNORE)
    flow.options["priority"] = 4
    flow.children[0].options["delay"] = 60
    flow.children[1].options["priority"] = 2
    await flow.add()
    our_ids = [leaf.job.id for leaf in (flow, *flow.children) if leaf.job]
    async with aioredis.Redis.from_url(redis_url, decode_responses=True) as client_:
        pairs = zip(("reports", "pages", "pages"), node_ids, our_ids, strict=True)
        for queue, node_id, our_id in pairs:
            hashes = [await client_.hgetall(f"bull:{queue}:{job_id}") for job_id in (node_id, our_id)]
            assert _comparable(hashes[0], node_ids[0]) == _comparable(hashes[1], our_ids[0])
        for suffix in ("reports:waiting-children", "pages:delayed", "pages:prioritized"):
            assert await client_.zcard(f"bull:{suffix}") == 2
        for parent, children in ((node_ids[0], node_ids[1:]), (our_ids[0], our_ids[1:])):
            pending = await client_.smembers(f"bull:reports:{parent}:dependencies")
            assert pending == {f"bull:pages:{child}" for child in children}
        kinds = {await client_.type(f"bull:reports:{ids[0]}") for ids in (node_ids, our_ids)}
        assert kinds == {"hash"}


def _comparable(fields: dict[Any, Any], parent: str) -> dict[str, Any]:
    """A job's hash without what differs from flow to flow."""
    texts = {name: value.replace(parent, "PARENT") for name, value in fields.items() if name != "timestamp"}
    plain: dict[str, Any] = texts | {
        name: json.loads(texts[name]) for name in ("opts", "parent") if name in texts
    }
    plain["opts"].pop("attempts")  # the queue's own policy is written out by Corral, left open by Node
    return plain


async def test_each_side_draws_the_others_flow(
    redis_url: str, node: Node, reports: Queue, pages: Queue
) -> None:
    client = await node("client.mjs", redis_url, "reports")
    ours = our_flow(reports, pages, OnFailure.IGNORE)
    job = await ours.add()
    drawn = await client.call("picture", job.id)
    assert (drawn["id"], drawn["state"]) == (job.id, "waiting-children")
    assert {child["id"] for child in drawn["children"]} == {leaf.job.id for leaf in ours.children if leaf.job}
    assert await client.call("childCounts", job.id) == {
        "processed": 0, "unprocessed": 2, "ignored": 0, "failed": 0
    }  # fmt: skip
    root, *children = await client.call("idsOfFlow", node_flow(OnFailure.REMOVE))
    picture = await reports.flow(root)
    assert picture is not None
    assert {node.key for node in picture.children} == {("pages", child) for child in children}
    assert picture.counts.pending == 2


async def test_a_flow_of_node_without_a_policy_is_found_stuck_and_released(
    redis_url: str, node: Node, workers: Workers, reports: Queue, pages: Queue
) -> None:
    client = await node("client.mjs", redis_url, "reports")
    parent = await client.call("flow", node_flow(None, good=False))
    await workers(pages)

    async def found() -> Any:
        return await reports.stuck_parents(older_than=0)

    (stuck,) = await eventually(found)
    assert (stuck.id, stuck.reason) == (parent, StuckReason.CHILD_FAILED)
    assert await reports.release_parent(parent) is True
    await node("worker.mjs", redis_url, "reports")
    done = await client.event("completed", jobId=parent)
    assert done["returnvalue"] == {"values": [], "ignored": ["run 1 fails"], "by": "node"}


async def test_children_that_a_corral_job_adds_run_on_node(
    redis_url: str, node: Node, workers: Workers, pages: Queue
) -> None:
    reports = Queue("reports", redis_url=redis_url, retry=ONCE)

    @reports.job("build")
    async def build(job: JobContext, data: int) -> list[Any]:
        for number in range(data):
            await job.add_child(pages, "child", {"n": number})
        await job.add_child(pages, "child", {"failures": 9}, on_failure=OnFailure.IGNORE)
        await job.wait_for_children()
        numbers = [value["echo"]["n"] for value in (await job.children_values()).values()]
        return [sorted(numbers), len(await job.ignored_failures())]

    client = await node("client.mjs", redis_url, "reports")
    job = await reports.add("build", 3)
    await workers(reports)
    await client.event("waiting-children", jobId=job.id)
    await node("worker.mjs", redis_url, "pages", "3")
    assert await job.result(timeout=20) == [[0, 1, 2], 1]
    assert (await client.call("job", job.id))["attemptsMade"] == 1


async def test_node_parts_a_child_from_a_flow_of_ours(
    redis_url: str, node: Node, workers: Workers, reports: Queue, pages: Queue
) -> None:
    client = await node("client.mjs", redis_url, "pages")
    flow = Flow(reports, "parent", children=[Flow(pages, "child", {"n": 1}, delay=3600)])
    job = await flow.add()
    (leaf,) = flow.children
    assert leaf.job is not None
    await client.call("removeChildDependency", leaf.job.id)
    await workers(reports)
    assert (await job.result(timeout=20))["values"] == []
