"""Jobs that Node adds are among what came to a queue."""

from __future__ import annotations

from typing import Any

import pytest
from node_process import BOTH_VERSIONS, Node, Workers

from corral import JobContext, Queue
from corral.worker import reporting
from eventually import eventually

pytestmark = BOTH_VERSIONS


async def test_what_node_adds_arrives(
    redis_url: str, node: Node, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue("reports", redis_url=redis_url)

    @queue.job("build")
    async def build(job: JobContext, data: Any) -> None:
        pass

    monkeypatch.setattr(reporting, "BEAT_SECONDS", 0.1)
    await queue.client().set(queue.keys().own() + "stats:seen", 0)  # a worker looked while it was empty
    client = await node("client.mjs", redis_url, "reports")
    for options in ({}, {"jobId": "of-its-own"}, {"priority": 3}, {"delay": 1}):
        await client.call("add", "build", {}, options)
    await workers(queue)

    async def counted() -> Any:
        recent = await queue.stats.recent()
        return recent if recent.completed == 4 else None

    recent = await eventually(counted, within=30)
    assert recent.arrived == 4
    assert (await queue.stats.recent(name="build")).arrived == 4
