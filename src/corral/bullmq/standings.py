"""Reading how queues stand, and the server: see lua/standing.lua.

No call looks at more than a few jobs of a queue. All raise what redis-py raises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import redis.asyncio as aioredis
from redis.exceptions import ResponseError

from corral.bullmq.keys import QueueKeys, breaker_keys
from corral.bullmq.reader import by_state
from corral.bullmq.scripts import Call, ours, run_all

#: Queues that one call of the script looks at: about a millisecond of Redis.
CHUNK = 50

#: A run that is overdue by less is about to be taken.
LATE_MS = 1_000

#: A schedule that is not among the first so many is late for the same reason as those; as lua/standing.lua.
MOST_LATE = 20

#: Held jobs that are read of a breaker to tell their queues.
MOST_HELD = 5_000


class Limiter(NamedTuple):
    """Jobs started in the window of a rate that is open for `left_ms` more; the live limits, if any."""

    used: int
    left_ms: int
    #: Jobs in each window of so many milliseconds.
    most: int | None
    window_ms: int | None
    #: Jobs that run at once, over all workers.
    concurrency: int | None


class Side(NamedTuple):
    """One queue. Milliseconds; `since` 0: no job waits. `counts`: jobs by state, as `reader.counts`."""

    since: int
    paused: bool
    late: dict[str, int]
    unknown: dict[str, int]
    counts: dict[str, int]
    limiter: Limiter


def chunks(queues: Sequence[QueueKeys]) -> list[Sequence[QueueKeys]]:
    """As many as one call of a script looks at."""
    return [queues[start : start + CHUNK] for start in range(0, len(queues), CHUNK)]


async def read_sides(client: aioredis.Redis, queues: Sequence[QueueKeys]) -> list[Side]:
    """Each queue, in order. One round trip."""
    calls: list[Call] = []
    for part in chunks(queues):
        arguments = [text for keys in part for text in (keys.base, keys.unknown_names())]
        calls.append(([keys.meta for keys in part], [LATE_MS, *arguments]))
    return [_side(*row) for reply in await run_all(client, ours("standing"), calls) for row in reply]


async def read_late(client: aioredis.Redis, queues: Sequence[QueueKeys], now_ms: int) -> list[dict[str, int]]:
    """`Side.late` alone, by the same rule. now_ms: the server's. One round trip."""
    pipe = client.pipeline(transaction=False)
    for keys in queues:
        upto = now_ms - LATE_MS
        pipe.zrangebyscore(keys.repeat, "-inf", upto, start=0, num=MOST_LATE, withscores=True)
    return [
        {schedule.decode(errors="replace"): now_ms - int(slot) for schedule, slot in found}
        for found in (await pipe.execute() if queues else [])
    ]


def _side(
    since: bytes,
    paused: int,
    late: list[bytes],
    unknown: list[bytes],
    lengths: list[int],
    limiter: tuple[int, int, bytes, bytes, bytes],
) -> Side:
    used, left_ms, *live = limiter
    return Side(
        int(since),
        bool(paused),
        _pairs(late),
        _pairs(unknown),
        by_state(lengths),
        Limiter(used, left_ms, *(int(float(number)) if number else None for number in live)),
    )


def _pairs(flat: list[bytes]) -> dict[str, int]:
    return {k.decode(errors="replace"): int(v) for k, v in zip(flat[::2], flat[1::2], strict=True)}


async def held_by_queue(
    client: aioredis.Redis, prefix: str, breakers: dict[str, int]
) -> dict[str, dict[str, int]]:
    """How many jobs of each queue a breaker holds. `breakers`: how many each holds in all. One round trip.

    Exact up to MOST_HELD jobs of a breaker. Beyond, the ones whose hold ends first stand for the rest.
    """
    if not breakers:
        return {}
    pipe = client.pipeline(transaction=False)
    for name in breakers:
        pipe.zrange(breaker_keys(prefix, name).held, 0, MOST_HELD - 1)
    replies = await pipe.execute()
    return {
        name: _shares(members, held) for (name, held), members in zip(breakers.items(), replies, strict=True)
    }


def _shares(members: list[bytes], held: int) -> dict[str, int]:
    counts = Counter(member.decode(errors="replace").partition(":")[0] for member in members)
    part = max(1.0, held / max(1, len(members)))
    return {queue: round(number * part) for queue, number in counts.items()}


async def read_server(client: aioredis.Redis) -> tuple[dict[str, Any], str | None] | None:
    """INFO, and the setting `save` (None: it may not be read). None if INFO is denied. One round trip."""
    pipe = client.pipeline(transaction=False)
    pipe.info()
    pipe.config_get("save")
    info, config = await pipe.execute(raise_on_error=False)
    for reply in (info, config):
        if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
            raise reply
    if isinstance(info, Exception):
        return None
    return info, None if isinstance(config, Exception) else str(config.get("save", ""))
