"""Listing the jobs of states in pages, however many there are. No call changes anything or holds Redis.

A state is one segment or several: what waits lies in BullMQ's list, in a v5 client's `paused` list, in the
set of prioritized jobs, and, if it has a group, with a negative score among the waiting parents. "Newest
first" walks a segment from the end where jobs are added, which for sets that are in an order of their own
(delayed, prioritized) is the end that runs last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import redis.asyncio as aioredis

from corral.bullmq.codec import JobRecord, decode_record
from corral.bullmq.keys import QueueKeys

#: Jobs in one round trip.
BATCH = 250

#: Bytes of job data in one round trip; a job may have a megabyte.
DATA_BYTES = 4_000_000


class Scores(NamedTuple):
    """Bounds of a sorted set's scores; both belong to it."""

    lowest: float | str = "-inf"
    highest: float | str = "+inf"


EVERYTHING = Scores()

#: The score of a waiting parent is a time, that of a job which waits in a group is below zero.
PARENTS, PARKED = Scores(lowest=0), Scores(highest=-0.5)


@dataclass(frozen=True, slots=True)
class Segment:
    """A list or sorted set of ids, or the part of one with these scores, all of one state."""

    state: str
    suffix: str
    is_list: bool = False
    scores: Scores = EVERYTHING

    def bounds(self, within: Scores) -> Scores:
        return within if self.scores == EVERYTHING else self.scores


#: In the order in which jobs of the state run, or have finished.
SEGMENTS: dict[str, tuple[Segment, ...]] = {
    "waiting": (
        Segment("waiting", "wait", is_list=True),
        Segment("waiting", "paused", is_list=True),
        Segment("waiting", "prioritized"),
        Segment("waiting", "waiting-children", scores=PARKED),
    ),
    "prioritized": (Segment("waiting", "prioritized"),),
    "active": (Segment("active", "active", is_list=True),),
    "delayed": (Segment("delayed", "delayed"),),
    "completed": (Segment("completed", "completed"),),
    "failed": (Segment("failed", "failed"),),
    "waiting-children": (Segment("waiting-children", "waiting-children", scores=PARENTS),),
}


def segments(states: Sequence[str], *, newest_first: bool) -> list[Segment]:
    """The segments of these states in the order they are walked."""
    return [s for state in states for s in (SEGMENTS[state][::-1] if newest_first else SEGMENTS[state])]


class Part(NamedTuple):
    segment: Segment
    start: int
    size: int


def parts(lengths: Sequence[tuple[Segment, int]], start: int, count: int) -> list[Part]:
    """Which piece of each segment makes up `count` jobs from `start` on, over all of them in a row."""
    result = []
    for segment, length in lengths:
        here = min(count, length - start)
        if here > 0:
            result.append(Part(segment, start, here))
            count -= here
        start = max(0, start - length)
    return result


async def lengths(
    client: aioredis.Redis, keys: QueueKeys, chosen: Sequence[Segment], within: Scores = EVERYTHING
) -> list[int]:
    """How many ids each segment has. One round trip."""
    pipe = client.pipeline(transaction=False)
    for segment in chosen:
        key = keys.base + segment.suffix
        if segment.is_list:
            pipe.llen(key)
        elif segment.bounds(within) == EVERYTHING:
            pipe.zcard(key)
        else:
            pipe.zcount(key, *segment.bounds(within))
    return [int(n) for n in await pipe.execute()]


async def page(
    client: aioredis.Redis, keys: QueueKeys, state: str, start: int, count: int, *, newest_first: bool
) -> list[tuple[str, str]]:
    """(id, state) of `count` jobs from place `start`. Two round trips."""
    chosen = segments([state], newest_first=newest_first)
    sizes = await lengths(client, keys, chosen)
    pipe = client.pipeline(transaction=False)
    wanted = parts(list(zip(chosen, sizes, strict=True)), start, count)
    for part in wanted:
        _range(pipe, keys, part, newest_first=newest_first)
    result = []
    for part, found in zip(wanted, await pipe.execute(), strict=True):
        ids = found[::-1] if part.segment.is_list and not newest_first else found
        result += [(job_id.decode(), part.segment.state) for job_id in ids if not job_id.startswith(b"0:")]
    return result


def _range(pipe: Any, keys: QueueKeys, part: Part, *, newest_first: bool) -> None:
    key, last = keys.base + part.segment.suffix, part.start + part.size - 1
    if part.segment.scores != EVERYTHING:
        lowest, highest = part.segment.scores
        bounds = (highest, lowest) if newest_first else (lowest, highest)
        pipe.zrange(key, *bounds, byscore=True, desc=newest_first, offset=part.start, num=part.size)
    elif not part.segment.is_list:
        pipe.zrange(key, part.start, last, desc=newest_first)
    elif newest_first:
        pipe.lrange(key, part.start, last)
    else:
        pipe.lrange(key, -last - 1, -part.start - 1)


class Place(NamedTuple):
    """How far a walk over segments has come: `offset` ids of segment number `segment`.

    In a sorted set the last id and its score find the place again after jobs have come and gone.
    """

    segment: int = 0
    offset: int = 0
    last_id: str = ""
    last_score: float = 0.0


class Step(NamedTuple):
    """The next ids of a walk, each with the place behind it."""

    ids: list[str]
    places: list[Place]


async def walk(
    client: aioredis.Redis,
    keys: QueueKeys,
    segment: Segment,
    place: Place,
    count: int,
    *,
    newest_first: bool,
    within: Scores = EVERYTHING,
) -> Step:
    """Up to `count` ids behind `place` in one segment. One round trip; two in a sorted set."""
    key, within = keys.base + segment.suffix, segment.bounds(within)
    if segment.is_list:
        last = place.offset + count - 1
        if newest_first:
            found: Any = await client.lrange(key, place.offset, last)
        else:
            found = (await client.lrange(key, -last - 1, -place.offset - 1))[::-1]
        ids = [job_id.decode() for job_id in found]
        return Step(ids, [Place(place.segment, place.offset + n) for n in range(1, len(ids) + 1)])
    start = await _rank(client, key, place, newest_first=newest_first, within=within)
    rows: Any = await client.zrange(key, start, start + count - 1, desc=newest_first, withscores=True)
    lowest, highest = float(within.lowest), float(within.highest)
    rows = [(job_id.decode(), score) for job_id, score in rows if lowest <= score <= highest]
    return Step(
        [job_id for job_id, _ in rows],
        [Place(place.segment, start + n, job_id, score) for n, (job_id, score) in enumerate(rows, 1)],
    )


async def _rank(client: aioredis.Redis, key: str, place: Place, *, newest_first: bool, within: Scores) -> int:
    if place.last_id:
        rank: Any = await (client.zrevrank if newest_first else client.zrank)(key, place.last_id)
        if rank is not None:
            return int(rank) + 1
        beyond = f"({place.last_score!r}"  # it is gone: go on with those of its score, met before or not
    elif within == EVERYTHING:
        return place.offset
    else:
        beyond = f"({within.highest if newest_first else within.lowest}"
    if newest_first:
        return int(await client.zcount(key, beyond, "+inf"))
    return int(await client.zcount(key, "-inf", beyond))


async def heads(client: aioredis.Redis, keys: QueueKeys, ids: Sequence[str]) -> list[list[bytes | None]]:
    """name, timestamp, failedReason, attempts made, priority, group of each. One round trip."""
    pipe = client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hmget(keys.job(job_id), "name", "timestamp", "failedReason", "atm", "priority", "corral:group")
    return list(await pipe.execute())


async def data(client: aioredis.Redis, keys: QueueKeys, ids: Sequence[str]) -> list[bytes | None]:
    """The data of each. One round trip for their sizes, and one for every DATA_BYTES."""
    pipe = client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hstrlen(keys.job(job_id), "data")
    sizes = await pipe.execute()
    result: list[bytes | None] = []
    held = 0
    for job_id, size in zip(ids, sizes, strict=True):
        if held and held + size > DATA_BYTES:
            result += await pipe.execute()
            held = 0
        pipe.hget(keys.job(job_id), "data")
        held += size + 1
    return result + (await pipe.execute() if held else [])


async def records(client: aioredis.Redis, keys: QueueKeys, ids: Sequence[str]) -> list[JobRecord | None]:
    """The whole of each job; None for what is gone. One round trip."""
    if not ids:
        return []
    pipe = client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hgetall(keys.job(job_id))
    return [
        decode_record(job_id, fields) if fields else None
        for job_id, fields in zip(ids, await pipe.execute(), strict=True)
    ]
