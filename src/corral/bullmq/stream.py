"""A queue's event stream: positions in it, and reading it in parts. No call changes anything.

A position is what Redis gives each event as its id, `<milliseconds>-<number>`; events come after a position.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import redis.asyncio as aioredis
from redis.exceptions import ResponseError

from corral.bullmq.keys import QueueKeys

#: Before every event.
START = (0, 0)

Position = tuple[int, int]
Entry = tuple[Position, dict[str, str]]

#: Events in one round trip.
BATCH = 1_000


def parse(event_id: str) -> Position | None:
    """The position of an event id, or of a bare number of milliseconds; None for what is neither."""
    milliseconds, _, number = event_id.partition("-")
    number = number or "0"
    if not (milliseconds.isascii() and milliseconds.isdecimal() and number.isascii() and number.isdecimal()):
        return None
    position = int(milliseconds), int(number)
    return position if max(position) < 2**64 else None


def text(position: Position) -> str:
    return f"{position[0]}-{position[1]}"


class Ends(NamedTuple):
    """The first and the last event that the stream holds; both START if it holds none."""

    first: Position
    last: Position


async def ends(client: aioredis.Redis, keys: QueueKeys) -> Ends:
    """One round trip."""
    return (await look(client, keys, None))[0]


async def look(
    client: aioredis.Redis, keys: QueueKeys, position: Position | None
) -> tuple[Ends, list[Entry]]:
    """What the stream holds, and the next events after a position, at most BATCH. One round trip."""
    pipe = client.pipeline(transaction=False)
    pipe.xrange(keys.events, count=1)
    pipe.xrevrange(keys.events, count=1)
    if position is not None:
        pipe.xrange(keys.events, min=text(_next(position)), count=BATCH)
    first, last, *more = await pipe.execute()
    held = Ends(_position(first[0][0]), _position(last[0][0])) if first and last else Ends(START, START)
    return held, _entries(more[0]) if more else []


class Newest(NamedTuple):
    """Entries, the oldest first. since_ms: earlier ones are not kept or were not read; None: none were."""

    entries: list[Entry]
    since_ms: int | None


async def newest(client: aioredis.Redis, keys: QueueKeys, *, after_ms: int, most: int) -> Newest:
    """The newest events from a time on. A round trip for each BATCH of them."""
    entries: list[Entry] = []
    newest_of: str = "+"
    while len(entries) < most:
        rows: Any = await client.xrevrange(keys.events, max=newest_of, min=str(after_ms), count=BATCH)
        page = _entries(rows)
        entries += page
        if len(page) < BATCH:
            oldest = await client.xrange(keys.events, count=1)
            first = _entries(oldest)[0][0][0] if oldest else 0
            trimmed = not oldest or first > after_ms
            return Newest(entries[::-1], first if trimmed and first else None)
        milliseconds, number = page[-1][0]
        newest_of = text((milliseconds, number - 1) if number else (milliseconds - 1, 2**64 - 1))
    return Newest(entries[::-1], entries[-1][0][0])


async def wait(client: aioredis.Redis, keys: QueueKeys, position: Position, block_ms: int) -> list[Entry]:
    """The next events after a position, at most BATCH, waiting up to `block_ms` for one. One round trip."""
    reply: Any = await client.xread({keys.events: text(position)}, count=BATCH, block=block_ms)
    return _entries(reply[0][1]) if reply else []


async def before(
    client: aioredis.Redis, keys: QueueKeys, position: Position | None, count: int
) -> list[Entry]:
    """Up to `count` events up to a position and with it, newest first; None: the newest. One round trip."""
    newest = "+" if position is None else text(position)
    return _entries(await client.xrevrange(keys.events, max=newest, count=count))


class Standing(NamedTuple):
    """The last event that a stream took, and how many it ever took; None: this Redis does not count them."""

    last: Position
    added: int | None


async def standing(client: aioredis.Redis, keys: QueueKeys) -> Standing:
    """One round trip. The counting came with Redis 7."""
    try:
        told: Any = await client.xinfo_stream(keys.events)
    except ResponseError:  # there is none yet
        return Standing(START, 0)
    added = told.get("entries-added")
    return Standing(_position(told["last-generated-id"]), None if added is None else int(added))


def previous(position: Position) -> Position:
    """The greatest position before another; START has none and is given back."""
    milliseconds, number = position
    if number:
        return milliseconds, number - 1
    return (milliseconds - 1, 2**64 - 1) if milliseconds else START


def _next(position: Position) -> Position:
    # "(id" for an open bound is known from Redis 6.2 on; this is known to all.
    milliseconds, number = position
    return (milliseconds, number + 1) if number < 2**64 - 1 else (milliseconds + 1, 0)


def _entries(rows: Any) -> list[Entry]:
    return [
        (_position(event_id), {_decode(name): _decode(value) for name, value in fields.items()})
        for event_id, fields in rows
    ]


def _decode(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _position(event_id: bytes) -> Position:
    milliseconds, _, number = event_id.partition(b"-")
    return int(milliseconds), int(number)
