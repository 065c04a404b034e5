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

from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import names_by_sha

#: PINGs that are timed, one after the other.
PINGS = 3

#: Entries of the slow log that are read.
MOST_SLOW = 50

#: Queues that are weighed; jobs of one state of one of them; and jobs in all, about.
MOST_QUEUES, MOST_OF_A_STATE, MOST_WEIGHED = 30, 10, 500

#: Where the jobs of a state are, by its name in `counts`.
_KEYS = {
    "waiting": "wait", "active": "active", "prioritized": "prioritized", "delayed": "delayed",
    "waiting-children": "waiting_children", "completed": "completed", "failed": "failed",
}  # fmt: skip
_LISTS = ("waiting", "active")


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
    """A queue: exact counts, and bytes as a sample says. None: it was not weighed, or that is refused."""

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


async def weigh(
    client: aioredis.Redis, queues: Sequence[QueueKeys], counts: Sequence[Mapping[str, int]]
) -> list[Weight]:
    """About how many bytes each queue takes. `counts`: its jobs by state. Two round trips.

    The MOST_QUEUES with most jobs are weighed: their lists and sets, and up to MOST_OF_A_STATE jobs of each
    state for all of them; fewer where there are many. Logs, the children of flows and Corral's own notes are
    left out.
    """
    places = sorted(range(len(queues)), key=lambda at: -sum(counts[at].values()))[:MOST_QUEUES]
    lots = [(at, state) for at in places for state in _KEYS if counts[at].get(state)]
    each = max(1, min(MOST_OF_A_STATE, MOST_WEIGHED // max(1, len(lots))))
    pipe = client.pipeline(transaction=False)
    for at, state in lots:
        key = getattr(queues[at], _KEYS[state])
        if state in _LISTS:
            pipe.lrange(key, 0, each - 1)
        else:
            pipe.zrandmember(key, each)
    drawn = [_ids(reply) for reply in await pipe.execute(raise_on_error=False)] if lots else []
    for at in places:
        pipe.memory_usage(queues[at].events)
    for (at, state), ids in zip(lots, drawn, strict=True):
        pipe.memory_usage(getattr(queues[at], _KEYS[state]))
        for job_id in ids:
            pipe.memory_usage(queues[at].job(job_id))
    sizes = iter(await pipe.execute(raise_on_error=False) if places else [])
    total: dict[int, float | None] = {}
    for at in places:
        events = next(sizes)
        total[at] = None if isinstance(events, Exception) else float(events or 0)
    sampled = Counter[int]()
    for (at, state), ids in zip(lots, drawn, strict=True):
        own = next(sizes)
        found = [size for size in [next(sizes) for _ in ids] if isinstance(size, int)]
        sampled[at] += len(found)
        known = total[at]
        if known is None or isinstance(own, Exception):
            total[at] = None
        elif found:
            total[at] = known + (own or 0) + counts[at][state] * sum(found) / len(found)
    return [_weight(count, total.get(at), sampled[at]) for at, count in enumerate(counts)]


def _weight(counts: Mapping[str, int], size: float | None, sampled: int) -> Weight:
    return Weight(counts, None if size is None else round(size), sampled)


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
