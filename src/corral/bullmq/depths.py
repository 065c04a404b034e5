"""The wire of the depth history: how many jobs a queue had, by minute for 24 hours and by hour for 90 days.

Keys of each queue: `<own>depth:m:<hour>` and `<own>depth:h:<day>`, hashes beside those of the statistics,
with an end of their own. Who writes, and when: `observe.depth`. All functions raise what redis-py raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import redis.asyncio as aioredis

from corral.bullmq import statistics
from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import Call, ours, run_all
from corral.bullmq.standings import chunks
from corral.bullmq.statistics import HOUR, MINUTE, Unit


class Depth(NamedTuple):
    """Jobs by state at one moment, or the most of each in an hour. New fields go to the end."""

    waiting: int = 0
    active: int = 0
    #: Those that a breaker holds are `held` alone.
    delayed: int = 0
    held: int = 0
    failed: int = 0
    #: How long the oldest has waited that could have started; 0: none waits.
    oldest_ms: int = 0


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[int]).decode


async def write(client: aioredis.Redis, depths: Mapping[QueueKeys, Depth], now_ms: int) -> int:
    """Note this minute of these queues, unless somebody has. One round trip. Returns how many were noted."""
    minute, hour = now_ms // MINUTE.ms, now_ms // HOUR.ms
    calls: list[Call] = [
        (
            [key for keys in part for key in (_hash(keys, MINUTE, minute), _hash(keys, HOUR, hour))],
            [*ends(now_ms), *(_pack(depths[keys]) for keys in part)],
        )
        for part in chunks(list(depths))
    ]
    return sum(await run_all(client, ours("depth_write"), calls)) if calls else 0


async def read_series(
    client: aioredis.Redis, queues: Sequence[QueueKeys], unit: Unit, count: int, now_ms: int
) -> list[list[Depth | None]]:
    """The last `count` minutes or hours of each queue, oldest first; None: nobody looked. One round trip."""
    last = now_ms // unit.ms
    pipe = client.pipeline(transaction=False)
    hashes = 0
    for keys in queues:
        hashes = 0
        for key, numbers in unit.hashes(keys, last - count + 1, last, "depth"):
            pipe.hmget(key, [str(number % unit.in_hash) for number in numbers])
            hashes += 1
    replies: list[Any] = await pipe.execute() if queues else []
    return [
        [_depth(text) for texts in replies[at : at + hashes] for text in texts]
        for at in range(0, len(replies), hashes or 1)
    ]


async def read_minutes(
    client: aioredis.Redis, queues: Sequence[QueueKeys], first: int, last: int
) -> list[list[Depth | None]]:
    """Each queue in the minutes `first` to `last` since the epoch; None: nobody looked. One round trip."""
    found = await statistics.read_minutes(client, queues, first, last, "depth")
    return [list(map(_depth, texts)) for texts in found]


def _hash(keys: QueueKeys, unit: Unit, number: int) -> str:
    return next(iter(unit.hashes(keys, number, number, "depth")))[0]


def ends(now_ms: int) -> list[int]:
    """What lua/depth_write.lua is told of this moment: its minute, its hour, how long their hashes live."""
    minute, hour = now_ms // MINUTE.ms % MINUTE.in_hash, now_ms // HOUR.ms % HOUR.in_hash
    return [minute, hour, _lives_ms(MINUTE, now_ms), _lives_ms(HOUR, now_ms)]


def _lives_ms(unit: Unit, now_ms: int) -> int:
    """Until the last unit of the hash is as old as it may get."""
    length = unit.ms * unit.in_hash
    return length - now_ms % length + unit.ms * unit.kept


def _depth(text: bytes | None) -> Depth | None:
    if text is None:
        return None
    try:
        return Depth(*_unpack(text)[: len(Depth._fields)])
    except msgspec.DecodeError:  # of another version of Corral
        return None
