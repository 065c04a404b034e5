"""The wire of the fleet's history: how many worker processes lived and were needed, by minute and by hour.

Keys of a prefix: `<fleet>:m:<hour>` and `<fleet>:h:<day>`, laid out, written and ended as those of the depths
(`bullmq.depths`): minutes for 24 hours, hours for 90 days, some 25 kB in all. All functions raise what
redis-py raises.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import redis.asyncio as aioredis

from corral.bullmq import depths
from corral.bullmq.keys import fleet_key
from corral.bullmq.scripts import ours
from corral.bullmq.statistics import HOUR, MINUTE, Unit

#: Below any number, so that the most of an hour is what was known in it.
UNKNOWN = -1


class Fleet(NamedTuple):
    """Worker processes at one moment, or the most of each in an hour. New fields go to the end."""

    running: int = 0
    #: Tenths of a process.
    needed_tenths: int = UNKNOWN

    @property
    def needed(self) -> float | None:
        """None: nobody could tell."""
        return None if self.needed_tenths == UNKNOWN else self.needed_tenths / 10


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[int]).decode


async def write(client: aioredis.Redis, prefix: str, fleet: Fleet, now_ms: int) -> bool:
    """Note this minute, unless somebody has. One round trip. Returns whether it was noted."""
    keys = [_hash(prefix, unit, now_ms) for unit in (MINUTE, HOUR)]
    return bool(await ours("depth_write")(client, keys, *depths.ends(now_ms), _pack(fleet)))


async def read_series(
    client: aioredis.Redis, prefix: str, unit: Unit, count: int, now_ms: int
) -> list[Fleet | None]:
    """The last `count` minutes or hours, oldest first; None: nobody looked. One round trip."""
    last = now_ms // unit.ms
    pipe = client.pipeline(transaction=False)
    for key, numbers in unit.hashes_at(fleet_key(prefix), last - count + 1, last):
        pipe.hmget(key, [str(number % unit.in_hash) for number in numbers])
    return [_fleet(text) for texts in await pipe.execute() for text in texts]


def _hash(prefix: str, unit: Unit, now_ms: int) -> str:
    number = now_ms // unit.ms
    return next(iter(unit.hashes_at(fleet_key(prefix), number, number)))[0]


def _fleet(text: bytes | None) -> Fleet | None:
    if text is None:
        return None
    try:
        return Fleet(*_unpack(text)[: len(Fleet._fields)])
    except msgspec.DecodeError:  # of another version of Corral
        return None
