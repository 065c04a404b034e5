"""What a server tells of its health, and how much of it each queue takes, found by a bounded sample.

What a user's rights or a managed service do not let through is absent, and the command named as refused.
Arguments of slow commands never leave this module: they may hold job data. Raises what redis-py raises.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import redis.asyncio as aioredis
from redis.exceptions import ResponseError

from corral.bullmq import reader
from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import names_by_sha

#: PINGs that are timed, one after the other.
PINGS = 3

#: Entries of the slow log that are read.
MOST_SLOW = 50

#: Jobs of one state of one queue that are weighed, and all of one answer.
MOST_OF_A_STATE, MOST_WEIGHED = 10, 1_500

#: In the order in which ids are drawn.
_STATES = ("waiting", "active", "prioritized", "delayed", "waiting-children", "completed", "failed")


class Slow(NamedTuple):
    """A slow command: its name alone, of a script of ours or BullMQ's that too. `at`: epoch seconds."""

    at: int
    seconds: float
    command: str


class Told(NamedTuple):
    """What the server says of itself. None: it may not be asked. `clients`: by what they are named."""

    info: Mapping[str, Any] | None
    slow: tuple[Slow, ...] | None
    slow_in_all: int | None
    clients: Mapping[str, int] | None
    keys: int | None
    pings: tuple[float, ...]
    refused: tuple[str, ...]


class Weight(NamedTuple):
    """A queue: exact counts, and bytes as a sample says. bytes None: MEMORY USAGE is refused."""

    counts: Mapping[str, int]
    bytes: int | None
    #: Jobs weighed.
    sampled: int


async def ask(client: aioredis.Redis, prefix: str) -> Told:
    """INFO, SLOWLOG, CLIENT LIST, DBSIZE, and some PINGs. PINGS + 1 round trips."""
    pings = []
    for _ in range(PINGS):
        began = time.perf_counter()
        await client.ping()
        pings.append(time.perf_counter() - began)
    pipe = client.pipeline(transaction=False)
    pipe.info()
    pipe.slowlog_get(MOST_SLOW)
    pipe.slowlog_len()
    pipe.client_list()
    pipe.dbsize()
    replies = await pipe.execute(raise_on_error=False)
    names = ("INFO", "SLOWLOG", "SLOWLOG", "CLIENT LIST", "DBSIZE")
    refused = []
    told: list[Any] = []
    for name, reply in zip(names, replies, strict=True):
        if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
            raise reply
        if isinstance(reply, Exception):
            refused.append(name)
        told.append(None if isinstance(reply, Exception) else reply)
    info, slow, slow_in_all, clients, keys = told
    return Told(
        info=info,
        slow=None if slow is None else tuple(_slow(entry) for entry in slow),
        slow_in_all=slow_in_all,
        clients=None if clients is None else dict(Counter(_kind(row, prefix) for row in clients)),
        keys=keys,
        pings=tuple(pings),
        refused=tuple(dict.fromkeys(refused)),
    )


async def weigh(client: aioredis.Redis, queues: Sequence[QueueKeys]) -> list[Weight]:
    """How much each queue holds, and about how many bytes. Three round trips, whatever is in them.

    Bytes: of the queue's lists and sets, and of MOST_OF_A_STATE jobs of each state for all of them; fewer
    where there are many queues. Logs, the children of flows and Corral's own notes are left out.
    """
    if not queues:
        return []
    counts = await reader.counts(client, queues)
    each = max(1, min(MOST_OF_A_STATE, MOST_WEIGHED // (len(queues) * 4)))
    drawn = client.pipeline(transaction=False)
    for keys in queues:
        for lists in (keys.wait, keys.active):
            drawn.lrange(lists, 0, each - 1)
        for sets in _sets(keys):
            drawn.zrandmember(sets, each)
    ids = iter(await drawn.execute(raise_on_error=False))
    sampled = [[_ids(next(ids)) for _ in range(2 + len(_sets(keys)))] for keys in queues]
    weighed = client.pipeline(transaction=False)
    for keys, states in zip(queues, sampled, strict=True):
        for key in _structures(keys):
            weighed.memory_usage(key)
        for jobs in states:
            for job_id in jobs:
                weighed.memory_usage(keys.job(job_id))
    sizes = iter(await weighed.execute(raise_on_error=False))
    return [
        _weight(keys, known, states, sizes)
        for keys, known, states in zip(queues, counts, sampled, strict=True)
    ]


def _weight(keys: QueueKeys, counts: Mapping[str, int], states: list[list[str]], sizes: Any) -> Weight:
    total: float = 0
    answered = True
    for _ in _structures(keys):
        size = next(sizes)
        answered = answered and not isinstance(size, Exception)
        total += size if isinstance(size, int) else 0
    of_state = [counts.get(state, 0) for state in _STATES]
    found = [[size for size in [next(sizes) for _ in jobs] if isinstance(size, int)] for jobs in states]
    whole = [size for sizes_of_state in found for size in sizes_of_state]
    mean = sum(whole) / len(whole) if whole else 0.0
    for number, weighed in zip(of_state, found, strict=True):
        total += number * (sum(weighed) / len(weighed) if weighed else mean)
    return Weight(counts, round(total) if answered else None, len(whole))


def _sets(keys: QueueKeys) -> tuple[str, ...]:
    return keys.prioritized, keys.delayed, keys.waiting_children, keys.completed, keys.failed


def _structures(keys: QueueKeys) -> tuple[str, ...]:
    return keys.wait, keys.active, *_sets(keys), keys.events


def _ids(reply: Any) -> list[str]:
    """Another program's key of that name is no reason to fail."""
    return (
        []
        if isinstance(reply, Exception) or not reply
        else [bytes(i).decode(errors="replace") for i in reply]
    )


def _slow(entry: Mapping[str, Any]) -> Slow:
    command = entry.get("command", b"")
    words = (command if isinstance(command, bytes) else str(command).encode()).split(maxsplit=2)
    name = words[0].decode(errors="replace")[:40].upper() if words else "?"
    if name == "EVALSHA" and len(words) > 1:
        name = f"{name} {names_by_sha().get(words[1].decode(errors='replace'), '')}".strip()
    return Slow(int(entry.get("start_time", 0)), int(entry.get("duration", 0)) / 1e6, name)


def _kind(row: Mapping[str, Any], prefix: str) -> str:
    """A connection's kind. Workers of BullMQ and Corral have a name that begins with the prefix."""
    name = row.get("name", "")
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    if text.startswith(f"{prefix}:"):
        return "worker"
    return "named otherwise" if text else "unnamed"
