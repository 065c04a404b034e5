"""`queue.dead`: the dead letter desk. The failed jobs of a queue in groups of one kind each, and what to do
with them.

BullMQ's failed set is the truth, whoever failed the jobs (Node workers too) and whoever retries, cleans or
obliterates them; the desk keeps an index of it, which workers bring up to date within seconds. Nothing of it
costs a job anything while it runs or fails. Guarantees: a job is retried or discarded at most once by an
operation, whoever is killed meanwhile; what a discard put into the bin comes back byte for byte for ten
minutes; a resolved group that fails again opens again. Limits: an operation is about jobs that had failed
when it began; what a parent made of the removal of its child is not undone.

Every method raises RedisUnavailable. Changes are in the audit log, with ids and counts alone.
Emits: what `deadletters/carrying.py` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from redis.exceptions import RedisError

from corral.bullmq import dead_groups
from corral.bullmq.clock import server_seconds
from corral.bullmq.connection import Address, shared_client
from corral.bullmq.failures import as_corral_error
from corral.deadletters.acting import LIBRARY, Acting
from corral.deadletters.groups import STATES, Group, GroupsPage, Note, Standing, State, page_of
from corral.deadletters.letters import Attempt, Letter
from corral.deadletters.operations import Operation
from corral.deadletters.policy import Policy
from corral.deadletters.reading import Preview
from corral.deadletters.target import Filter, Target
from corral.errors import InvalidInput

if TYPE_CHECKING:
    from corral.queue import Queue

__all__ = [
    "Attempt", "DeadLetters", "Filter", "Group", "GroupsPage", "Letter", "Note", "Operation", "Policy",
    "Preview", "Standing", "Target", "all_groups",
]  # fmt: skip

#: Longest note.
NOTE_CHARS = 2_000


class DeadLetters(Acting):
    """The desk of one queue. Cheap: `queue.dead` makes one each time."""

    __slots__ = ()

    async def resolve(self, group: str, *, actor: str = LIBRARY) -> Group:
        """Say that what made these jobs fail is repaired. A failure after this opens the group again.

        Raises DeadLetterNotFound. Three round trips, as for all below.
        """
        return await self._mark(group, "resolved", actor, {})

    async def reopen(self, group: str, *, actor: str = LIBRARY) -> Group:
        """Take a resolve or an ignore back. Raises DeadLetterNotFound."""
        return await self._mark(group, "open", actor, {})

    async def ignore(
        self, group: str, *, until: float | None = None, failures: int | None = None, actor: str = LIBRARY
    ) -> Group:
        """Do not show a group as open until a time (epoch seconds), or until so many further failures,
        whichever comes first; without both, until `reopen`. Raises DeadLetterNotFound, InvalidInput.
        """
        if until is not None and not 0 < until < 1e11:
            raise InvalidInput(f"until={until}: a time in epoch seconds.")
        if failures is not None and failures < 1:
            raise InvalidInput(f"failures={failures}: at least one.")
        bounds = {"until": None if until is None else str(round(until * 1000)),
                  "left": None if failures is None else str(failures)}  # fmt: skip
        return await self._mark(group, "ignored", actor, {k: v for k, v in bounds.items() if v is not None})

    async def note(self, group: str, text: str, *, actor: str = LIBRARY) -> list[Note]:
        """Write something down about a group; the last 100 notes stay. Raises DeadLetterNotFound,
        InvalidInput.
        """
        tidy = text.strip()
        if not 1 <= len(tidy) <= NOTE_CHARS:
            raise InvalidInput(f"A note has 1 to {NOTE_CHARS:,} characters.")
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            written = Note(round(await server_seconds(client), 3), actor, tidy)
            there = await dead_groups.mark(client, keys, group, note=msgspec.json.encode(written).decode())
        if not there:
            raise self._no_group(group)
        await self._record(actor, "dead.note", "", {"group": group})
        return await self.notes(group)

    async def _mark(self, group: str, state: State, actor: str, bounds: dict[str, str]) -> Group:
        fields = {"state": state, "since": "now", "by": actor} | bounds
        flat = [part for pair in fields.items() for part in pair]
        without = [name for name in ("until", "left", "reopened") if name not in bounds]
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            there = await dead_groups.mark(client, keys, group, facts=flat, without=without)
        if not there:
            raise self._no_group(group)
        action = {"resolved": "dead.resolve", "open": "dead.reopen", "ignored": "dead.ignore"}[state]
        await self._record(actor, action, "", {"group": group} | bounds)
        return await self.group(group)


async def all_groups(queues: Sequence[Queue], *, states: Sequence[State] = STATES) -> list[GroupsPage]:
    """The groups of many queues as they are indexed, in the order of `queues`. One round trip a server.

    Raises RedisUnavailable.
    """
    servers: dict[Address, list[Queue]] = {}
    for queue in queues:
        servers.setdefault(queue.address(), []).append(queue)

    async def read(address: Address, group: list[Queue]) -> dict[str, GroupsPage]:
        client = shared_client(address)
        found = await dead_groups.read_groups(client, [queue.keys() for queue in group])
        now = await server_seconds(client)
        return {
            queue.name: page_of(queue.name, rows, now, states)
            for queue, rows in zip(group, found, strict=True)
        }

    try:
        parts = await asyncio.gather(*(read(*server) for server in servers.items()))
    except (RedisError, OSError) as error:
        raise as_corral_error(error, "the dead letters") from error
    pages = {name: page for part in parts for name, page in part.items()}
    return [pages[queue.name] for queue in queues]
