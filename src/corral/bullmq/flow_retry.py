"""Retrying what failed below a parent, in one MULTI: no child ends before its parent waits for it again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from corral.bullmq.admin import requeue_call
from corral.bullmq.families import child_key
from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import ours
from corral.family import ChildKey, RetriedChildren

if TYPE_CHECKING:
    import redis.asyncio as aioredis

#: Children that one call retries: measured as retries of many, some 10 ms of the server.
MAX_RETRIED = 500

#: Pending children that are looked at for one that failed without telling its parent.
MAX_LOOKED = 1_000


async def failed_children(client: aioredis.Redis, keys: QueueKeys, job_id: str) -> tuple[list[ChildKey], int]:
    """Up to MAX_RETRIED failed children of a parent, and how many more it knows. Two round trips."""
    children = keys.children(job_id)
    pipe = client.pipeline(transaction=False)
    pipe.zrange(children.failed, 0, MAX_RETRIED - 1)
    pipe.hscan(children.ignored, 0, count=MAX_RETRIED)
    pipe.sscan(children.pending, 0, count=MAX_LOOKED)
    pipe.zcard(children.failed)
    pipe.hlen(children.ignored)
    failed, (_, ignored), (_, pending), *known = await pipe.execute()
    told = dict.fromkeys([*failed, *ignored])
    silent = [raw for raw in pending[:MAX_LOOKED] if raw not in told]
    pipe = client.pipeline(transaction=False)
    for raw in silent:
        key = child_key(keys.prefix, raw)
        pipe.zscore(QueueKeys(keys.prefix, key.queue).failed, key.id)
    scores = await pipe.execute() if silent else []
    found = [*told, *(raw for raw, score in zip(silent, scores, strict=True) if score is not None)]
    left = max(0, sum(known) - len(told)) + max(0, len(found) - MAX_RETRIED)
    return [child_key(keys.prefix, raw) for raw in found[:MAX_RETRIED]], left


async def retry(
    client: aioredis.Redis,
    prefix: str,
    children: Sequence[ChildKey],
    parents: Sequence[ChildKey],
    now_ms: int,
) -> RetriedChildren:
    """Put the children back to waiting, and let those of the parents that failed wait for them again.

    parents: theirs first, then that one's. Two round trips. `left` is 0.
    """
    requeue, rejoin = ours("requeue"), ours("rejoin")
    by_queue: dict[str, list[str]] = defaultdict(list)
    for child in children:
        by_queue[child.queue].append(child.id)
    # A script that the server lost would break the MULTI in its middle.
    pipe = client.pipeline(transaction=False)
    for script in (requeue, rejoin):
        pipe.script_load(script.source)
    await pipe.execute()
    pipe = client.pipeline(transaction=True)
    for queue, ids in by_queue.items():
        names, argument = requeue_call(QueueKeys(prefix, queue), "failed", ids=ids)
        pipe.evalsha(requeue.sha, len(names), *names, argument)
    for parent in parents:
        keys = QueueKeys(prefix, parent.queue)
        names = [
            keys.failed, keys.wait, keys.prioritized, keys.pc, keys.meta, keys.active, keys.marker,
            keys.events, keys.waiting_children, keys.children(parent.id).pending,
        ]  # fmt: skip
        pipe.evalsha(rejoin.sha, len(names), *names, keys.base, parent.id, now_ms)
    answers: list[Any] = await pipe.execute()
    moved = sum(int(answer[0]) for answer in answers[: len(by_queue)])
    return RetriedChildren(moved, sum(map(int, answers[len(by_queue) :])), 0)
