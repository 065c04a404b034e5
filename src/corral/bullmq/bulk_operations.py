"""The wire of operations on the jobs of a state: collect them, then do them in steps.

What one script can do (retry, promote) it does and notes together, so that a carrier which is killed loses
nothing and the next one doubles nothing. The rest is taken, done job by job, and noted: what was taken and
not noted is done again, which changes nothing a second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.operations import LEASE_MS, operation_key
from corral.bullmq.scripts import ours

#: Jobs in one step of a script, and of those that are done one by one.
BATCH, ONE_BY_ONE = 250, 50

_pack = msgspec.msgpack.Encoder().encode


class Step(NamedTuple):
    """verdict: ended, theirs (another carries it) or running. others: ids that were left alone."""

    verdict: str
    wait_ms: int = 0
    others: Sequence[str] = ()


class Taken(NamedTuple):
    """ids to do now. again: somebody took them before, and some of them may be done."""

    verdict: str
    again: bool
    wait_ms: int
    ids: Sequence[str]


class BulkCarrier:
    """Makes the steps of operations of one queue in one carrier's name. Each is one round trip."""

    def __init__(self, client: aioredis.Redis, keys: QueueKeys, name: str) -> None:
        self._client = client
        self._keys = keys
        self._name = name

    def _claim(self, operation: str) -> list[object]:
        return [self._keys.bulk(), self._keys.prefix, operation, self._name, LEASE_MS]

    async def select(
        self,
        operation: str,
        before: str,
        after: str,
        ids: Sequence[str],
        state: str,
        *,
        done: bool,
        last_first: bool,
    ) -> Step:
        """Collect what a search found between two cursors, unless somebody else did."""
        arguments = _pack(
            [self._keys.base, *self._claim(operation), before, after, list(ids), done, state, last_first]
        )
        verdict, _ = await ours("bulk_select")(self._client, [], arguments)
        return Step(verdict.decode())

    async def requeue(self, operation: str, state: str) -> Step:
        keys = self._keys
        script_keys = [
            keys.base + state, keys.wait, keys.prioritized, keys.pc, keys.meta, keys.active, keys.marker,
            keys.events,
        ]  # fmt: skip
        arguments = _pack([keys.base, *self._claim(operation), BATCH, state])
        verdict, _, wait_ms, others = await ours("bulk_requeue")(self._client, script_keys, arguments)
        return Step(verdict.decode(), int(wait_ms), [job_id.decode() for job_id in others])

    async def take(self, operation: str) -> Taken:
        arguments = _pack([*self._claim(operation), ONE_BY_ONE])
        verdict, again, wait_ms, entries = await ours("bulk_take")(self._client, [], arguments)
        ids = [entry.decode().partition(" ")[2] for entry in entries]
        return Taken(verdict.decode(), bool(again), int(wait_ms), ids)

    async def note(self, operation: str, moved: int, gone: int) -> Step:
        arguments = _pack([*self._claim(operation), moved, gone])
        verdict, wait_ms = await ours("bulk_note")(self._client, [], arguments)
        return Step(verdict.decode(), int(wait_ms))

    async def note_why(self, operation: str, whys: Mapping[str, int]) -> None:
        """Add to how many jobs stayed as they were, by what they were. For people: the counts stand."""
        pipe = self._client.pipeline(transaction=False)
        for why, jobs in whys.items():
            pipe.hincrby(operation_key(self._keys.bulk(), operation), f"why:{why}", jobs)
        await pipe.execute()

    async def first_to_tell(self, operation: str) -> bool:
        """True for one carrier alone: it writes the end into the audit log."""
        key = operation_key(self._keys.bulk(), operation)
        return bool(await self._client.hsetnx(key, "told", "1"))
