"""A trace crosses between Node and Python: in the options of the job, where BullMQ's telemetry has it."""

from __future__ import annotations

import json

from node_process import BOTH_VERSIONS, Node, Workers

from corral import JobContext, Queue, tracing

pytestmark = BOTH_VERSIONS

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01"}


async def test_what_node_carries_is_gone_on_with_here(redis_url: str, node: Node, workers: Workers) -> None:
    queue = Queue("traced", redis_url=redis_url)
    seen: list[tuple[str, str] | None] = []

    @queue.job("build")
    async def build(job: JobContext) -> None:
        seen.append(tracing.trace_ids())

    client = await node("client.mjs", redis_url, "traced")
    telemetry = {"metadata": json.dumps(HEADERS)}
    first = await client.call("add", "build", {}, {"telemetry": telemetry})
    second = await client.call("add", "build", {}, {"telemetry": {**telemetry, "omitContext": True}})
    await workers(queue)
    for job_id in (first, second):
        assert await client.call("wait", job_id, 20_000) is None
    assert sorted(seen, key=str) == [(TRACE_ID, SPAN_ID), None]


async def test_what_is_added_here_is_where_node_looks_for_it(redis_url: str, node: Node) -> None:
    queue = Queue("traced", redis_url=redis_url)
    with tracing.continued(HEADERS):
        job = await queue.add("build", {})
    client = await node("client.mjs", redis_url, "traced")
    seen = await client.call("job", job.id)
    assert json.loads(seen["opts"]["telemetry"]["metadata"]) == HEADERS
