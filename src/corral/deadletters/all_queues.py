"""What is read of many queues' dead letters at once: groups, operations, when they failed. One round trip or
two a server, however many queues.

Every function raises RedisUnavailable. `settings`: those of the process, if it has read them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from corral.bullmq import dead_groups, dead_operations
from corral.bullmq.clock import server_seconds
from corral.bullmq.connection import Address, shared_client
from corral.bullmq.failures import as_corral_error
from corral.deadletters.groups import STATES, Group, GroupsPage, State, page_of
from corral.deadletters.operations import Operation, operation_of
from corral.environment import read_settings

if TYPE_CHECKING:
    from corral.queue import Queue
    from corral.settings import Settings

T = TypeVar("T")

HOURS = 24
_HOUR_MS = 3_600_000


async def all_groups(
    queues: Sequence[Queue], *, states: Sequence[State] = STATES, settings: Settings | None = None
) -> list[GroupsPage]:
    """The groups of many queues as they are indexed, in the order of `queues`. One round trip a server."""

    async def read(client: aioredis.Redis, some: Sequence[Queue]) -> list[GroupsPage]:
        found = await dead_groups.read_groups(client, [queue.keys() for queue in some])
        now = await server_seconds(client)
        return [page_of(queue.name, rows, now, states) for queue, rows in zip(some, found, strict=True)]

    return await _each_server(queues, settings, read)


async def all_operations(
    queues: Sequence[Queue], count: int = 50, *, settings: Settings | None = None
) -> list[Operation]:
    """The operations that began last over many queues, newest first. Two round trips a server."""

    async def read(client: aioredis.Redis, some: Sequence[Queue]) -> list[list[Operation]]:
        found = await dead_operations.newest_of(client, [queue.keys() for queue in some], count)
        return [
            [operation_of(queue.name, name, fields) for name, fields in rows]
            for queue, rows in zip(some, found, strict=True)
        ]

    parts = await _each_server(queues, settings, read)
    every = [operation for part in parts for operation in part]
    return sorted(every, key=lambda operation: operation.created, reverse=True)[:count]


async def failed_by_hour(
    queues: Sequence[Queue], groups: Sequence[Group], now: float, *, settings: Settings | None = None
) -> list[tuple[Group, list[int]]]:
    """How many of each group's jobs failed in each of the last 24 hours, oldest first, of those that are
    still failed. `now`: epoch seconds. One round trip a server.
    """
    of: dict[str, list[Group]] = {}
    for group in groups:
        of.setdefault(group.queue, []).append(group)
    edges = [now * 1000 - _HOUR_MS * back for back in range(HOURS, -1, -1)]

    async def read(client: aioredis.Redis, some: Sequence[Queue]) -> list[list[list[int]]]:
        asked = [(queue.keys(), [group.id for group in of[queue.name]]) for queue in some]
        return await dead_groups.failed_in_spans(client, asked, edges)

    concerned = [queue for queue in queues if queue.name in of]
    counts = await _each_server(concerned, settings, read)
    return [
        pair
        for queue, found in zip(concerned, counts, strict=True)
        for pair in zip(of[queue.name], found, strict=True)
    ]


async def _each_server(
    queues: Sequence[Queue],
    settings: Settings | None,
    read: Callable[[aioredis.Redis, Sequence[Queue]], Awaitable[list[T]]],
) -> list[T]:
    """Ask each server for its queues, all at once; the answers in the order of `queues`."""
    settings = settings or read_settings()
    servers: dict[Address, list[Queue]] = {}
    for queue in queues:
        servers.setdefault(queue.address(settings), []).append(queue)
    try:
        parts = await asyncio.gather(*(read(shared_client(at), some) for at, some in servers.items()))
    except (RedisError, OSError) as error:
        raise as_corral_error(error, "the dead letters") from error
    answers = {
        queue.name: answer
        for some, part in zip(servers.values(), parts, strict=True)
        for queue, answer in zip(some, part, strict=True)
    }
    return [answers[queue.name] for queue in queues]
