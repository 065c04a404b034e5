"""Reading a flow: a job and its children with their states, level by level, within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import NoScriptError

from corral.bullmq.families import child_key, queue_counts
from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import official
from corral.family import ChildCounts, ChildKey, FlowNode

GONE = "gone"


async def tree(
    client: aioredis.Redis, keys: QueueKeys, job_id: str, *, depth: int, limit: int, most: int
) -> FlowNode | None:
    """A job with its children; None if there is no such job. One round trip a level.

    depth: levels below the job. limit: children of each job. most: jobs in all.
    """
    root = ChildKey(keys.name, job_id)
    level = [root]
    shown = {root}
    below: dict[ChildKey, list[ChildKey]] = {}
    found: dict[ChildKey, FlowNode] = {}
    for remaining in range(depth, -1, -1):
        following: list[ChildKey] = []
        for node, children in await _level(client, keys.prefix, level, limit if remaining else 0):
            found[node.key] = node
            # A job that two parents name is shown at the first of them: what is drawn is a tree.
            new = [key for key in children if key not in shown][: most - len(shown)]
            below[node.key] = new
            shown.update(new)
            following += new
        if found[root].status == GONE:
            return None
        level = following
        if not level:
            break
    # Children come after their parents in `found`: from the end, each finds its own ready.
    for key in reversed(found):
        node = found[key]
        nodes = tuple(found[name] for name in below[key])
        found[key] = FlowNode(key, node.name, node.status, node.failed_reason, node.counts, nodes)
    return found[root]


async def _level(
    client: aioredis.Redis, prefix: str, level: Sequence[ChildKey], limit: int
) -> list[tuple[FlowNode, list[ChildKey]]]:
    """The jobs of one level, and the keys of their children where `limit` is not 0."""
    script = official("getStateV2")
    while True:
        pipe = client.pipeline(transaction=False)
        for key in level:
            keys = QueueKeys(prefix, key.queue)
            pipe.hmget(keys.job(key.id), "name", "timestamp", "failedReason")
            state_keys = [
                keys.completed, keys.failed, keys.delayed, keys.active, keys.wait, keys.paused,
                keys.waiting_children, keys.prioritized,
            ]  # fmt: skip
            pipe.evalsha(script.sha, len(state_keys), *state_keys, key.id)
            children = keys.children(key.id)
            queue_counts(pipe, children)
            if limit:
                pipe.sscan(children.pending, 0, count=limit)
                pipe.zrange(children.failed, 0, limit - 1)
                pipe.hscan(children.ignored, 0, count=limit)
                pipe.hscan(children.completed, 0, count=limit)
        replies = await pipe.execute(raise_on_error=False)
        if not any(isinstance(reply, NoScriptError) for reply in replies):
            break
        await client.script_load(script.source)
    width = len(replies) // len(level)
    return [_node(prefix, key, replies[width * i : width * (i + 1)], limit) for i, key in enumerate(level)]


def _node(prefix: str, key: ChildKey, replies: list[Any], limit: int) -> tuple[FlowNode, list[ChildKey]]:
    fields, state = replies[:2]
    for reply in replies:
        if isinstance(reply, Exception) and "WRONGTYPE" not in str(reply):
            raise reply
    # A key that holds no job: of another type, or a hash that no state knows.
    if isinstance(fields, Exception) or fields[1] is None or state == b"unknown":
        return FlowNode(key, "", GONE, None, ChildCounts()), []
    name, _, reason = fields
    status = state.decode()
    node = FlowNode(
        key=key,
        name=(name or b"").decode(errors="replace"),
        status="waiting" if status == "prioritized" else status,
        failed_reason=None if reason is None else reason.decode(errors="replace"),
        counts=ChildCounts(*replies[2:6]),
    )
    if not limit:
        return node, []
    (_, pending), failed, (_, ignored), (_, completed) = replies[6:]
    names = (child for part in (pending, failed, ignored, completed) for child in part)
    return node, sorted(child_key(prefix, child) for child in islice(names, limit))
