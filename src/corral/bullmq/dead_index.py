"""The wire of the dead letter desk's index: which failed job is in which group.

BullMQ's failed set stays the truth; the index follows it. `look` finds what is not in it yet, `write` puts it
in, `sweep` takes out what has left the set by whatever hand. Each call is one script and a few milliseconds
of Redis. A desk that stopped in between, or looks twice, changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import redis.asyncio as aioredis

from corral.bullmq.codec import decode_stacktrace
from corral.bullmq.keys import DeadKeys, QueueKeys, dead_queues
from corral.bullmq.scripts import ours

#: Jobs that one call looks at, and whose traces it reads.
LOOKS, READS = 1_000, 100

#: Workers whose clocks are behind write failures into the past: each turn looks again at so much of it.
OVERLAP_MS, OVERLAP = 60_000, 5_000

#: Kinds of failure that a queue may have; what comes beyond goes into one group together.
MOST_GROUPS = 1_000

#: An empty group is forgotten after so long without a failure; with notes or a state of its own, after
#: longer.
PLAIN_MS, MARKED_MS = 7 * 86_400_000, 90 * 86_400_000

#: How long a discarded job can be brought back, and how much the bin of a queue takes.
BIN_MS, BIN_JOBS, BIN_BYTES = 600_000, 100_000, 256 * 1024 * 1024

_pack = msgspec.msgpack.Encoder().encode


class Failure(NamedTuple):
    """A failed job that is in no group yet. `score`: when it failed, as Redis writes it."""

    id: str
    score: str
    name: str
    reason: str
    stacktrace: list[str]
    cancelled: bool


class Place(NamedTuple):
    """How far a look has come: a score, and how many jobs of it. START: where the index stands."""

    score: float
    skip: int


START, BEGINNING = Place(-1, 0), Place(0, 0)


class Look(NamedTuple):
    found: list[Failure]
    looked: int
    place: Place
    failed: int
    indexed: int
    version: str
    now_ms: int


class Entry(NamedTuple):
    """A failure and its group; `facts` (flat) describe the group if it is new."""

    id: str
    score: str
    group: str
    facts: list[str]


class SweepPlace(NamedTuple):
    group: str = ""
    rank: int = 0


async def look(
    client: aioredis.Redis, keys: QueueKeys, place: Place, *, looks: int = LOOKS, reads: int = READS
) -> Look:
    """Look on from `place`: see dead_look.lua. One round trip."""
    arguments = _pack([keys.base, keys.dead(), place.score, place.skip, looks, reads, OVERLAP_MS, OVERLAP])
    answer: Any = await ours("dead_look")(client, [keys.failed], arguments)
    rows, looked, score, skip, failed, indexed, version, now_ms = answer
    found = [
        Failure(_text(row[0]), _text(row[1]), _text(row[2]), _text(row[3]), decode_stacktrace(row[4]),
                row[5].startswith(b"!"))
        for row in rows
    ]  # fmt: skip
    return Look(
        found,
        int(looked),
        Place(float(score), int(skip)),
        int(failed),
        int(indexed),
        _text(version),
        int(now_ms),
    )


async def write(
    client: aioredis.Redis, keys: QueueKeys, entries: Sequence[Entry], position_ms: float, version: str
) -> tuple[int, list[str]]:
    """Put failures into their groups. Returns how many were new, and the groups that it opened again."""
    arguments = _pack([keys.dead(), keys.name, entries, position_ms, version, MOST_GROUPS])
    new, reopened = await ours("dead_index")(client, [keys.failed, dead_queues(keys.prefix)], arguments)
    return int(new), [_text(group) for group in reopened]


async def sweep(
    client: aioredis.Redis, keys: QueueKeys, place: SweepPlace, *, count: int = LOOKS
) -> tuple[SweepPlace, int]:
    """Take out what is not failed any more: see dead_sweep.lua. Returns where to go on, and how many went."""
    arguments = _pack([keys.dead(), *place, count, PLAIN_MS, MARKED_MS, BIN_MS])
    group, rank, removed = await ours("dead_sweep")(client, [keys.failed], arguments)
    return SweepPlace(_text(group), int(rank)), int(removed)


async def start_anew(client: aioredis.Redis, keys: QueueKeys) -> None:
    """Forget which job is in which group, but not what was said of the groups. A few round trips."""
    dead = DeadKeys(keys)
    groups: Any = await client.zrange(dead.groups, 0, -1)
    for group in groups:
        await client.unlink(dead.group(_text(group)))
    await client.unlink(dead.indexed, dead.state)


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
