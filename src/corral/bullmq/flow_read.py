"""Reading a flow: a job and its children with their states, level by level, within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from corral.bullmq import redis_errors
from corral.bullmq.families import as_json, child_key, queue_counts
from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import official
from corral.family import Child, ChildCounts, ChildKey, ChildState, FlowNode, policy_of

if TYPE_CHECKING:
    import redis.asyncio as aioredis

GONE = "gone"

#: Parents above a job that are climbed to.
MAX_CLIMBED = 20


async def climb(client: aioredis.Redis, keys: QueueKeys, job_id: str) -> list[ChildKey]:
    """The way to a job from the root of its flow, itself at the end. One round trip a level.

    It begins below a parent that is gone, and MAX_CLIMBED levels up at most.
    """
    way = [ChildKey(keys.name, job_id)]
    while len(way) <= MAX_CLIMBED:
        key = QueueKeys(keys.prefix, way[0].queue).job(way[0].id)
        found: Any = await client.hmget(key, "parentKey", "timestamp")
        if found[1] is None and len(way) > 1:
            return way[1:]
        parent = child_key(keys.prefix, found[0]) if found[0] else None
        if parent is None or parent in way:
            break
        way.insert(0, parent)
    return way


async def tree(
    client: aioredis.Redis,
    keys: QueueKeys,
    job_id: str,
    *,
    depth: int,
    limit: int,
    most: int,
    way: Sequence[ChildKey] = (),
) -> FlowNode | None:
    """A job with its children; None if there is no such job. One round trip a level.

    depth: levels below the job. limit: children of each job. most: jobs in all. way: from the job to one
    below it, which are shown whatever the bounds.
    """
    root = ChildKey(keys.name, job_id)
    level = [root]
    shown = {root, *way}
    next_on_way = dict(pairwise(way))
    below: dict[ChildKey, list[Child]] = {}
    unlisted: set[ChildKey] = set()
    found: dict[ChildKey, FlowNode] = {}
    remaining = max(depth, len(way) - 1)
    while level:
        following: list[ChildKey] = []
        for node, children in await _level(client, keys.prefix, level, limit if remaining else 0):
            found[node.key] = node
            forced = next_on_way.get(node.key)
            # A job that two parents name is shown at the first of them: what is drawn is a tree.
            new = [child for child in children if child.key not in shown][: max(0, most - len(shown))]
            if forced is not None:
                known = next((child for child in children if child.key == forced), None)
                if known is None:
                    unlisted.add(forced)
                new = sorted([known or Child(forced, ChildState.PENDING), *new], key=_as_shown)
            below[node.key] = new
            shown.update(child.key for child in new)
            following += [child.key for child in new]
        if found[root].status == GONE:
            return None
        level = following
        remaining -= 1
    # Children come after their parents in `found`: from the end, each finds its own ready.
    for key in reversed(found):
        shown_below = (
            found[child.key] if child.key in unlisted else _seen_by_parent(found[child.key], child)
            for child in below[key]
        )
        found[key] = replace(found[key], children=tuple(shown_below))
    return found[root]


async def nodes(client: aioredis.Redis, prefix: str, children: Iterable[Child]) -> list[FlowNode]:
    """These children with their states, without children of their own. One round trip."""
    wanted = list(children)
    if not wanted:
        return []
    read = await _level(client, prefix, [child.key for child in wanted], 0)
    return [_seen_by_parent(node, child) for (node, _), child in zip(read, wanted, strict=True)]


async def plain_nodes(client: aioredis.Redis, prefix: str, jobs: Sequence[ChildKey]) -> list[FlowNode]:
    """These jobs with their states and counts. One round trip."""
    return [node for node, _ in await _level(client, prefix, jobs, 0)] if jobs else []


def _as_shown(child: Child) -> tuple[bool, ChildKey]:
    """What failed is what somebody looks for among many."""
    return child.state is not ChildState.FAILED, child.key


def _seen_by_parent(node: FlowNode, child: Child) -> FlowNode:
    return replace(node, outcome=child.state, value=child.value)


async def _level(
    client: aioredis.Redis, prefix: str, level: Sequence[ChildKey], limit: int
) -> list[tuple[FlowNode, list[Child]]]:
    """The jobs of one level, and their children where `limit` is not 0."""
    script = official("getStateV2")
    while True:
        pipe = client.pipeline(transaction=False)
        for key in level:
            keys = QueueKeys(prefix, key.queue)
            pipe.hmget(keys.job(key.id), *_FIELDS)
            state_keys = [
                keys.completed, keys.failed, keys.delayed, keys.active, keys.wait, keys.paused,
                keys.waiting_children, keys.prioritized,
            ]  # fmt: skip
            pipe.evalsha(script.sha, len(state_keys), *state_keys, key.id)
            pipe.zscore(keys.waiting_children, key.id)
            children = keys.children(key.id)
            queue_counts(pipe, children)
            if limit:
                pipe.sscan(children.pending, 0, count=limit)
                pipe.zrange(children.failed, 0, limit - 1)
                pipe.hscan(children.ignored, 0, count=limit)
                pipe.hscan(children.completed, 0, count=limit)
        replies = await pipe.execute(raise_on_error=False)
        if not any(isinstance(reply, redis_errors.NoScriptError) for reply in replies):
            break
        await client.script_load(script.source)
    width = len(replies) // len(level)
    return [_node(prefix, key, replies[width * i : width * (i + 1)], limit) for i, key in enumerate(level)]


_FIELDS = ("name", "timestamp", "failedReason", "parent", "parentKey", "processedOn", "finishedOn")


def _node(prefix: str, key: ChildKey, replies: list[Any], limit: int) -> tuple[FlowNode, list[Child]]:
    fields, state, since = replies[:3]
    for reply in replies:
        if isinstance(reply, Exception) and "WRONGTYPE" not in str(reply):
            raise reply
    # A key that holds no job: of another type, or a hash that no state knows.
    if isinstance(fields, Exception) or fields[1] is None or state == b"unknown":
        return FlowNode(key, "", GONE, None, ChildCounts()), []
    name, _, reason, link, parent, started, finished = fields
    status = state.decode()
    # Below 0 is a job of a group that has not its turn: see lua/groups.lua.
    if status == "prioritized" or (isinstance(since, float) and since < 0):
        status = "waiting"
    node = FlowNode(
        key=key,
        name=(name or b"").decode(errors="replace"),
        status=status,
        failed_reason=None if reason is None else reason.decode(errors="replace"),
        counts=ChildCounts(*replies[3:7]),
        parent=child_key(prefix, parent) if parent else None,
        on_failure=policy_of(link),
        started_at=_seconds(started),
        finished_at=_seconds(finished),
    )
    if not limit:
        return node, []
    (_, pending), failed, (_, ignored), (_, completed) = replies[7:]
    known = [
        *((raw, ChildState.FAILED, None) for raw in failed),
        *((raw, ChildState.PENDING, None) for raw in pending),
        *((raw, ChildState.IGNORED, value.decode(errors="replace")) for raw, value in ignored.items()),
        *((raw, ChildState.COMPLETED, value) for raw, value in completed.items()),
    ]
    children = [
        Child(child_key(prefix, raw), kind, as_json(value) if kind is ChildState.COMPLETED else value)
        for raw, kind, value in islice(known, limit)
    ]
    return node, sorted(children, key=_as_shown)


def _seconds(ms: bytes | None) -> float | None:
    try:
        return int(ms) / 1000 if ms else None
    except ValueError:
        return None
