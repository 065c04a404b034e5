"""The wire of operations on failed jobs: begun once, carried on in steps by whoever is there, ended.

Each step is one script that moves a batch and notes how far it has come, so a carrier that is killed between
two of them loses nothing and the next one doubles nothing. See lua/operation_claim.lua for who may carry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import redis.asyncio as aioredis

from corral.bullmq import operations
from corral.bullmq.dead_index import BIN_BYTES, BIN_JOBS, BIN_MS
from corral.bullmq.keys import DeadKeys, QueueKeys
from corral.bullmq.operations import LEASE_MS, MOST_KEPT
from corral.bullmq.scripts import Script, official, ours

#: Jobs in one step: some milliseconds of Redis.
BATCH = 250

#: Jobs of a group that one step collects; it copies ids alone.
SELECTED = 2_000

_pack = msgspec.msgpack.Encoder().encode


class Step(NamedTuple):
    """verdict: ended, theirs (another carries it), waiting (for its breaker) or running."""

    verdict: str
    moved: int = 0
    wait_ms: int = 0


async def begin(
    client: aioredis.Redis,
    keys: QueueKeys,
    operation: str,
    fields: Mapping[str, str],
    *,
    ids: Sequence[str] = (),
    undone: str = "",
) -> int:
    """Write a new operation down. Returns how many jobs it is about, as far as is known. One round trip."""
    return await operations.begin(client, keys, keys.dead(), operation, fields, ids=ids, undone=undone)


async def read(client: aioredis.Redis, keys: QueueKeys, operation: str) -> dict[str, str]:
    """What is known of an operation; empty: nothing. One round trip."""
    return await operations.read(client, keys.dead(), operation)


async def newest(
    client: aioredis.Redis, keys: QueueKeys, count: int = MOST_KEPT
) -> list[tuple[str, dict[str, str]]]:
    """The operations that began last, with their fields. Two round trips."""
    (found,) = await operations.newest_of(client, [keys.dead()], count)
    return found


async def newest_of(
    client: aioredis.Redis, queues: Sequence[QueueKeys], count: int
) -> list[list[tuple[str, dict[str, str]]]]:
    """The same for many queues on one server, `count` of each. Two round trips."""
    return await operations.newest_of(client, [keys.dead() for keys in queues], count)


async def live(client: aioredis.Redis, keys: QueueKeys) -> list[str]:
    """Operations that have not ended. One round trip."""
    return await operations.live(client, keys.dead())


async def stop(client: aioredis.Redis, keys: QueueKeys, operation: str) -> str:
    """Returns the state that it has then: see operation_stop.lua. One round trip."""
    return await operations.stop(client, keys.dead(), operation)


class Carrier:
    """Makes the steps of operations of one queue in one carrier's name. Each is one round trip."""

    def __init__(self, client: aioredis.Redis, keys: QueueKeys, name: str) -> None:
        self._client = client
        self._keys = keys
        self._name = name

    def _claim(self, operation: str) -> list[Any]:
        return [self._keys.dead(), self._keys.prefix, operation, self._name, LEASE_MS]

    async def select_group(self, operation: str) -> Step:
        """Collect a batch of a group's jobs."""
        return await self._select(operation, "", "", [], done=False)

    async def select_found(
        self, operation: str, before: str, after: str, ids: Sequence[str], *, done: bool
    ) -> Step:
        """Collect what a search found between two cursors, unless somebody else did."""
        return await self._select(operation, before, after, ids, done=done)

    async def _select(
        self, operation: str, before: str, after: str, ids: Sequence[str], *, done: bool
    ) -> Step:
        arguments = _pack([*self._claim(operation), SELECTED, before, after, list(ids), done])
        verdict, _ = await ours("dead_select")(self._client, [self._keys.failed], arguments)
        return Step(verdict.decode())

    async def retry(self, operation: str) -> Step:
        arguments = _pack([self._keys.base, *self._claim(operation), BATCH])
        return _step(await ours("dead_retry")(self._client, _of_requeuing(self._keys), arguments))

    async def discard(self, operation: str) -> Step:
        """One round trip more for each failed child whose parent is still there."""
        keys = self._keys
        arguments = _pack([keys.base, *self._claim(operation), BATCH, BIN_MS, BIN_JOBS, BIN_BYTES])
        *done, held = await ours("dead_discard")(
            self._client, [keys.failed, keys.events, keys.meta], arguments
        )
        for entry in held:
            await self._throw_child(operation, entry.decode())
        return _step(done)

    async def _throw_child(self, operation: str, entry: str) -> None:
        keys, job_id = self._keys, entry.partition(" ")[2]
        arguments = _pack([keys.dead(), operation, entry, BIN_MS, BIN_JOBS, BIN_BYTES])
        script_keys = [keys.job(job_id), keys.repeat, keys.failed]
        await _throw_child()(self._client, script_keys, job_id, "0", keys.base, arguments)

    async def undo(self, operation: str, undone: str) -> Step:
        arguments = _pack([self._keys.base, *self._claim(operation), BATCH, BIN_MS, undone])
        return _step(await ours("dead_undo")(self._client, [self._keys.failed], arguments))


async def edit(
    client: aioredis.Redis, keys: QueueKeys, job_id: str, data: str, *, keep_ms: int, retry: bool
) -> int:
    """Returns 1, 0 if the job is not failed, -1 if there is none: see dead_edit.lua. One round trip."""
    arguments = _pack([keys.base, keys.dead(), job_id, data, keep_ms, retry])
    return int(await ours("dead_edit")(client, _of_requeuing(keys), arguments))


async def original(client: aioredis.Redis, keys: QueueKeys, job_id: str) -> bytes | None:
    """The data of a job before it was edited. One round trip."""
    found: Any = await client.get(DeadKeys(keys).original(job_id))
    return None if found is None else bytes(found)


def _of_requeuing(keys: QueueKeys) -> list[str]:
    """What lua/requeuing.lua needs."""
    return [
        keys.failed, keys.wait, keys.prioritized, keys.pc, keys.meta, keys.active, keys.marker, keys.events,
    ]  # fmt: skip


@cache
def _throw_child() -> Script:
    """Our part and BullMQ's removeJob as one script."""
    own, theirs = ours("dead_throw_child"), official("removeJob")
    return Script(f"{own.name} {theirs.name}", own.source + theirs.source)


def _step(answer: Sequence[Any]) -> Step:
    verdict, moved, wait_ms = answer
    return Step(verdict.decode(), int(moved), int(wait_ms))
