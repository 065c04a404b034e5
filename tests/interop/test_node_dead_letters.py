"""Jobs that a stock Node worker failed are dead letters like our own, and Node sees what becomes of them."""

from __future__ import annotations

import pytest
from node_process import BOTH_VERSIONS, Node, NodeFailed

from corral import Queue, Retry
from corral.dead import Target
from eventually import eventually

pytestmark = BOTH_VERSIONS


async def test_nodes_failures_are_grouped_retried_and_discarded(redis_url: str, node: Node) -> None:
    queue = Queue("from-node", redis_url=redis_url, retry=Retry(attempts=1))
    client = await node("client.mjs", redis_url, "from-node")
    jobs = await queue.add_many("ship", [{"failures": 1, "n": n} for n in range(5)])
    await node("worker.mjs", redis_url, "from-node")

    async def failed() -> bool:
        return (await queue.counts())["failed"] == 5

    await eventually(failed, 30)
    page = await queue.dead.groups()
    (group,) = page.groups
    assert (group.error, group.name, group.count, page.standing.complete) == ("Error", "ship", 5, True)
    assert group.frame.startswith("node/worker.mjs")
    letter = await queue.dead.show(group.sample)
    assert (letter.reason, len(letter.attempts), letter.attempts[0].error) == ("run 1 fails", 1, "Error")

    discarded = await queue.dead.discard(jobs[0].id)
    with pytest.raises(NodeFailed, match="no job"):
        await client.call("state", jobs[0].id)
    await queue.dead.undo(discarded.id)
    await queue.dead.carry_on()
    assert await client.call("state", jobs[0].id) == "failed"
    assert (await client.call("job", jobs[0].id))["failedReason"] == "run 1 fails"

    operation = await queue.dead.retry_many(Target(group=group.id))
    await queue.dead.carry_on()
    assert (await queue.dead.operation(operation.id)).moved == 5
    await eventually(failed, 30)  # the attempts count from the beginning, and so do its failures
    assert (await queue.dead.groups()).groups[0].total >= 10
    await queue.close()
