"""What BullMQ notes of parents and children: reading it, and letting go of what binds them.

Nothing here reads without a bound, but for the results of a parent's own children.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from corral.bullmq.flow_add import release_call
from corral.bullmq.keys import ChildrenKeys, QueueKeys, split_job_key
from corral.bullmq.scripts import official, ours
from corral.family import Child, ChildCounts, ChildKey, ChildrenPage, ChildState

if TYPE_CHECKING:
    import redis.asyncio as aioredis

#: The order in which pages go through a parent's children.
_ORDER = (ChildState.COMPLETED, ChildState.IGNORED, ChildState.FAILED, ChildState.PENDING)


def child_key(prefix: str, raw: bytes) -> ChildKey:
    return ChildKey(*split_job_key(prefix, raw.decode(errors="replace")))


def as_json(raw: bytes) -> Any:
    """A child's result. What a foreign worker left that is no JSON is given as text."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return raw.decode(errors="replace")


# A parent's own children


async def values(client: aioredis.Redis, keys: QueueKeys, job_id: str) -> dict[ChildKey, Any]:
    """Results of the completed children. One round trip."""
    found: Any = await client.hgetall(keys.children(job_id).completed)
    return {child_key(keys.prefix, key): as_json(value) for key, value in found.items()}


async def ignored(client: aioredis.Redis, keys: QueueKeys, job_id: str) -> dict[ChildKey, str]:
    """Reasons of the children whose failure the parent survived. One round trip."""
    found: Any = await client.hgetall(keys.children(job_id).ignored)
    return {child_key(keys.prefix, key): value.decode(errors="replace") for key, value in found.items()}


async def counts(client: aioredis.Redis, keys: QueueKeys, job_id: str) -> ChildCounts:
    """One round trip."""
    pipe = client.pipeline(transaction=False)
    queue_counts(pipe, keys.children(job_id))
    return ChildCounts(*await pipe.execute())


def queue_counts(pipe: aioredis.client.Pipeline, children: ChildrenKeys) -> None:
    """Four commands whose answers make ChildCounts."""
    pipe.scard(children.pending)
    pipe.hlen(children.completed)
    pipe.hlen(children.ignored)
    pipe.zcard(children.failed)


async def children_page(
    client: aioredis.Redis, keys: QueueKeys, job_id: str, cursor: str | None, count: int
) -> ChildrenPage:
    """About `count` children from a cursor on. One round trip. ValueError: no page gave this cursor."""
    state, _, position = (cursor or f"{_ORDER[0]}:0").partition(":")
    kind, at = ChildState(state), int(position)
    children = keys.children(job_id)
    found: Any
    match kind:
        case ChildState.COMPLETED:
            at, found = await client.hscan(children.completed, at, count=count)
            page = [Child(child_key(keys.prefix, key), kind, as_json(value)) for key, value in found.items()]
        case ChildState.IGNORED:
            at, found = await client.hscan(children.ignored, at, count=count)
            page = [
                Child(child_key(keys.prefix, key), kind, value.decode(errors="replace"))
                for key, value in found.items()
            ]
        case ChildState.FAILED:
            found = await client.zrange(children.failed, at, at + count - 1)
            at = at + count if len(found) == count else 0
            page = [Child(child_key(keys.prefix, key), kind) for key in found]
        case ChildState.PENDING:
            at, found = await client.sscan(children.pending, at, count=count)
            page = [Child(child_key(keys.prefix, key), kind) for key in found]
    if at:
        return ChildrenPage(page, f"{kind}:{at}")
    following = _ORDER.index(kind) + 1
    return ChildrenPage(page, f"{_ORDER[following]}:0" if following < len(_ORDER) else None)


# From inside a handler


async def pending(client: aioredis.Redis, keys: QueueKeys, job_id: str) -> tuple[int, bytes | None]:
    """How many children are pending, and the key of one that fails the parent. One round trip."""
    children = keys.children(job_id)
    pipe = client.pipeline(transaction=False)
    pipe.scard(children.pending)
    pipe.zrange(children.failed, 0, 0)
    count, failed = await pipe.execute()
    return int(count), failed[0] if failed else None


async def claim(client: aioredis.Redis, keys: QueueKeys, job_id: str, token: str, child: str) -> int:
    """claim_child.lua: 0 the child is new, 1 the parent has it, -2 the lock is gone. One round trip."""
    job, children = keys.job(job_id), keys.children(job_id)
    names = [job, f"{job}:lock", children.pending, children.completed, children.ignored, children.failed]
    return int(await ours("claim_child")(client, names, token, child))


async def wait_for_children(
    client: aioredis.Redis, keys: QueueKeys, job_id: str, token: str, now_ms: int
) -> int:
    """Move an active job to waiting-children. One round trip. 0 moved, 1 none is pending.

    -1 job gone, -2 lock gone, -3 not active, -6 lock of another, -9 a child failed it.
    """
    children = keys.children(job_id)
    names = [
        keys.active, keys.waiting_children, keys.job(job_id), children.pending, children.failed, keys.stalled,
        keys.events,
    ]  # fmt: skip
    answer = await official("moveToWaitingChildren")(client, names, token, "", now_ms, job_id, keys.base)
    return int(answer)


# From outside


async def remove_dependency(client: aioredis.Redis, keys: QueueKeys, job_id: str) -> int:
    """Part a child from its parent. 0 done, 1 there was no bond, -1 no such job, -5 the parent is gone."""
    parent: Any = await client.hget(keys.job(job_id), "parentKey")
    if parent is None:
        return 1 if await client.exists(keys.job(job_id)) else -1
    script = official("removeChildDependency")
    return int(await script(client, [keys.base], keys.job(job_id), parent.decode()))


async def remove_unprocessed(client: aioredis.Redis, keys: QueueKeys, job_id: str) -> None:
    """Remove the pending children that do not run, with their children. One round trip."""
    script = official("removeUnprocessedChildren")
    await script(client, [keys.job(job_id), keys.meta], keys.base, job_id)


async def release(client: aioredis.Redis, keys: QueueKeys, job_id: str, now_ms: int) -> int:
    """release_parent.lua: 1 released, 0 children are pending, -1 no such job, -3 it does not wait."""
    script, names, *args = release_call(keys, job_id, now_ms)
    return int(await script(client, names, *args))
