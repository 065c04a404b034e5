"""What stock BullMQ sees of groups, and what it may do to their jobs. Its workers cannot run them."""

from __future__ import annotations

import pytest
from node_process import BOTH_VERSIONS, Node, Workers

from corral import JobContext, Queue, RateLimit, Retry
from corral.limits import LiveLimits
from eventually import eventually

pytestmark = BOTH_VERSIONS


@pytest.fixture
def queue(redis_url: str) -> Queue:
    return Queue("grouped", redis_url=redis_url)


async def test_a_job_of_a_group_is_shown_removed_and_no_orphan(
    node: Node, redis_url: str, queue: Queue, workers: Workers
) -> None:
    ran: list[int] = []

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        ran.append(data)

    first, second, _ = await queue.add_many("build", [1, 2, 3], group="a")
    client = await node("client.mjs", redis_url, queue.name)
    assert await client.call("state", first.id) == "waiting-children"
    assert (await client.counts())["waiting-children"] == 3
    assert sorted(await client.call("ids", "waiting-children")) == ["1", "2", "3"]
    assert await client.call("removeOrphans") == 0
    await client.call("remove", second.id)
    assert await queue.get(second.id) is None
    await workers(queue)
    await eventually(lambda: ran == [1, 3])
    assert await queue.groups.list() == []


async def test_a_failed_job_that_node_retries_returns_to_its_group(
    node: Node, redis_url: str, queue: Queue, workers: Workers
) -> None:
    runs = 0

    @queue.job("build")
    async def build(job: JobContext) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ValueError("once")

    job = await queue.add("build", group="a", retry=Retry(attempts=1))
    await workers(queue)

    async def failed() -> bool:
        return (await job.refresh()).status == "failed"

    await eventually(failed)
    await queue.groups.pause("a")
    client = await node("client.mjs", redis_url, queue.name)
    await client.call("retry", job.id, "failed")

    async def parked() -> bool:
        return (await queue.groups.counts("a")).waiting == 1

    await eventually(parked)
    await queue.groups.resume("a")
    await eventually(lambda: runs == 2)


async def test_live_limits_are_the_same_on_both_sides(node: Node, redis_url: str, queue: Queue) -> None:
    client = await node("client.mjs", redis_url, queue.name)
    await client.call("setConcurrency", 7)
    await client.call("setRateLimit", 20, 3000)
    assert await queue.limits.get() == LiveLimits(RateLimit(20, per=3), 7)
    await queue.limits.set_rate(RateLimit(5, per=2))
    await queue.limits.set_concurrency(4)
    assert await client.call("limits") == {"concurrency": 4, "rate": {"max": 5, "duration": 2000}}
