"""The wire of the statistics: what workers counted, added up in Redis by minute and by hour.

Layout and bounds: lua/stats_write.lua. All functions raise what redis-py raises. `now_ms` 0 is the server's
clock; tests give one of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec
import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys, flushed_key, releases_key
from corral.bullmq.scripts import Call, ours, run_all
from corral.bullmq.standings import chunks

#: The numbers of an entry, in the order in which they are kept. New ones go to the end.
COUNTED = (
    "arrived", "started", "completed", "failed", "retried", "put_back", "stalled", "lost_locks", "reconnects",
    "cancelled",
)  # fmt: skip
#: How a job ends for good, by these names.
ENDS = ("completed", "failed", "cancelled")

#: Deploy marks kept.
MOST_RELEASES = 200

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
#: Two thirds of an entry are times, which need not be read where they are not shown.
_unpack_counts = msgspec.msgpack.Decoder(tuple[list[float], msgspec.Raw, msgspec.Raw]).decode


class Unit(NamedTuple):
    """A length of time that is counted apart: minutes, kept in a hash an hour, or hours, in one a day."""

    ms: int
    letter: str
    in_hash: int
    #: How many are kept.
    kept: int

    def hashes(
        self, keys: QueueKeys, first: int, last: int, what: str = "stats"
    ) -> Iterable[tuple[str, range]]:
        """The hashes of the units `first` to `last` (counted since the epoch), and which of each.

        what: `stats`, or `depth` (`bullmq.depths`).
        """
        return self.hashes_at(f"{keys.own()}{what}", first, last)

    def hashes_at(self, base: str, first: int, last: int) -> Iterable[tuple[str, range]]:
        """The same of a history that is no queue's."""
        for number in range(first // self.in_hash, last // self.in_hash + 1):
            start = number * self.in_hash
            yield (
                f"{base}:{self.letter}:{number}",
                range(max(first, start), min(last + 1, start + self.in_hash)),
            )


MINUTE = Unit(60_000, "m", 60, 24 * 60)
HOUR = Unit(3_600_000, "h", 24, 90 * 24)


@dataclass(slots=True)
class Entry:
    """What was counted in some time."""

    counts: dict[str, int] = field(default_factory=dict)
    #: Times by bucket (`observe.buckets`).
    wait: dict[int, int] = field(default_factory=dict)
    run: dict[int, int] = field(default_factory=dict)

    def add(self, other: Entry) -> None:
        for mine, theirs in ((self.counts, other.counts), (self.wait, other.wait), (self.run, other.run)):
            _add(mine, theirs)

    @property
    def is_empty(self) -> bool:
        return not (self.counts or self.wait or self.run)


def _add(mine: dict[Any, int], theirs: Mapping[Any, int]) -> None:
    for key, number in theirs.items():
        mine[key] = mine.get(key, 0) + number


class Counted(NamedTuple):
    """What one process counted of one queue since it last said so: as a whole, and by job name."""

    keys: QueueKeys
    whole: Entry
    names: Mapping[str, Entry]
    unknown: Sequence[str]


def counted(
    keys: QueueKeys, names: Mapping[str, Entry], more: Mapping[str, int], unknown: Sequence[str]
) -> Counted:
    """`more`: numbers of the queue that are of no job name."""
    whole = Entry()
    for entry in names.values():
        whole.add(entry)
    whole.counts.pop("arrived", None)  # read from the queue itself
    _add(whole.counts, more)
    return Counted(keys, whole, names, unknown)


async def write(
    client: aioredis.Redis,
    prefix: str,
    writer: str,
    batch: int,
    queues: Sequence[Counted],
    *,
    now_ms: int = 0,
) -> bool:
    """Add this to what is there, with what came to each queue since somebody last looked. One round trip.

    A batch of this number and writer that was added already changes nothing; then False.
    """
    rows = [
        (
            one.keys.own(),
            _numbers(one.whole.counts),
            _gaps(one.whole.wait),
            _gaps(one.whole.run),
            [
                (name, _numbers(entry.counts), _gaps(entry.wait), _gaps(entry.run))
                for name, entry in one.names.items()
            ],
            one.unknown,
        )
        for one in queues
    ]
    keys = [flushed_key(prefix, writer), *(one.keys.id for one in queues)]
    return bool(await ours("stats_write")(client, keys, _pack((now_ms, batch, rows))))


def _numbers(counts: Mapping[str, int]) -> list[int]:
    numbers = [counts.get(name, 0) for name in COUNTED]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers or [0]


def _gaps(buckets: Mapping[int, int]) -> list[int]:
    flat: list[int] = []
    last = 0
    for bucket in sorted(buckets):
        flat += (bucket - last, buckets[bucket])
        last = bucket
    return flat


def _read(text: bytes, into: Entry) -> None:
    """Add what was kept. Two hundred queues are some thousand of these, so nothing is made in between."""
    counts, wait, run = _unpack(text)
    mine = into.counts
    for name, number in zip(COUNTED, counts, strict=False):
        if number:
            mine[name] = mine.get(name, 0) + int(number)
    for gaps, buckets in ((wait, into.wait), (run, into.run)):
        get = buckets.get
        for bucket, number in zip(accumulate(gaps[::2]), gaps[1::2], strict=True) if gaps else ():
            buckets[bucket] = get(bucket, 0) + number


async def read_series(
    client: aioredis.Redis, keys: QueueKeys, unit: Unit, count: int, now_ms: int, name: str | None
) -> tuple[int, list[Entry]]:
    """The last `count` minutes or hours, oldest first; the last one is not over. One round trip.

    Returns the number of the first unit since the epoch, too. `name`: of one job name, else of all together.
    """
    first, texts = await read_texts(client, keys, unit, count, now_ms, name)
    return first, [_entry(text) for text in texts]


async def read_texts(
    client: aioredis.Redis, keys: QueueKeys, unit: Unit, count: int, now_ms: int, name: str | None
) -> tuple[int, list[bytes | None]]:
    """`read_series` as it is kept, for who makes something else of it; None: nothing was counted."""
    last = now_ms // unit.ms
    first = last - count + 1
    of_name = "" if name is None else f":{name}"
    pipe = client.pipeline(transaction=False)
    for key, numbers in unit.hashes(keys, first, last):
        pipe.hmget(key, [f"{number % unit.in_hash}{of_name}" for number in numbers])
    return first, [text for texts in await pipe.execute() for text in texts]


class Ordered(NamedTuple):
    """What was counted in some time: numbers in the order of COUNTED; times as buckets that ascend, and how
    many are in each.
    """

    counts: tuple[int, ...]
    wait: tuple[list[int], list[int]]
    run: tuple[list[int], list[int]]


def ordered(text: bytes) -> Ordered:
    """What was kept, with as little made of it as quantiles need: ninety days are two thousand of these."""
    counts, wait, run = _unpack(text)
    numbers = tuple(map(int, counts))[: len(COUNTED)]
    missing = (0,) * (len(COUNTED) - len(numbers))
    return Ordered(numbers + missing, _in_order(wait), _in_order(run))


def _in_order(gaps: list[int]) -> tuple[list[int], list[int]]:
    return list(accumulate(gaps[::2])), gaps[1::2]


def _entry(text: bytes | None) -> Entry:
    """What was kept, by itself."""
    if text is None:
        return Entry()
    counts, wait, run = _unpack(text)
    numbers = {name: int(number) for name, number in zip(COUNTED, counts, strict=False) if number}
    return Entry(numbers, _buckets(wait), _buckets(run))


def _buckets(gaps: list[int]) -> dict[int, int]:
    return dict(zip(accumulate(gaps[::2]), gaps[1::2], strict=True)) if gaps else {}


async def read_counts(
    client: aioredis.Redis, queues: Sequence[QueueKeys], first: int, last: int
) -> list[list[Sequence[int]]]:
    """The numbers, without the times, of each queue in the minutes `first` to `last`. One round trip.

    In the order of COUNTED, as far as something was counted; empty where nothing was.
    """
    return [list(map(_counts, texts)) for texts in await read_minutes(client, queues, first, last, "stats")]


async def read_minutes(
    client: aioredis.Redis, queues: Sequence[QueueKeys], first: int, last: int, what: str
) -> list[list[bytes | None]]:
    """What is kept of each queue in the minutes `first` to `last`. what: as `Unit.hashes`. One round trip."""
    parts, calls = [], list[Call]()
    for part in chunks(queues):
        by_queue = [list(MINUTE.hashes(keys, first, last, what)) for keys in part]
        for same_hour in zip(*by_queue, strict=True):
            parts.append(part)
            fields = [number % MINUTE.in_hash for number in same_hour[0][1]]
            calls.append(([key for key, _ in same_hour], [*fields]))
    found: dict[QueueKeys, list[bytes | None]] = {keys: [] for keys in queues}
    for part, reply in zip(parts, await run_all(client, ours("hash_fields"), calls), strict=True):
        for keys, texts in zip(part, reply, strict=True):
            found[keys] += texts
    return [found[keys] for keys in queues]


def _counts(text: bytes | None) -> Sequence[int]:
    return () if text is None else list(map(int, _unpack_counts(text)[0]))


#: Entries of some minutes as they are kept, in their order; `added` tells what they are together.
Texts = tuple[bytes, ...]


class Lately(NamedTuple):
    """A queue as a whole, and by job name."""

    whole: Texts
    names: dict[str, Texts]


async def read_recent(
    client: aioredis.Redis, queues: Sequence[QueueKeys], minutes: int, now_ms: int, *, names: bool = True
) -> list[Lately]:
    """The last minutes of each queue, the one that is not over among them. One round trip.

    names: by job name, too.
    """
    last = now_ms // MINUTE.ms
    return list(map(joined, await read_by_name(client, queues, last - minutes + 1, last, names=names)))


async def read_by_name(
    client: aioredis.Redis, queues: Sequence[QueueKeys], first: int, last: int, *, names: bool = True
) -> list[list[Mapping[str, bytes]]]:
    """Each queue's minutes `first` to `last`: entries as they are kept, by job name. One round trip.

    What is "" by name is of the queue as a whole. names: the others, too.
    """
    wanted = [first, last, int(names)]
    calls: list[Call] = [
        ([keys.stats_names() for keys in part], [*wanted, *(keys.own() for keys in part)])
        for part in chunks(queues)
    ]
    replies = await run_all(client, ours("stats_recent"), calls)
    return [list(map(_by_name, minutes)) for reply in replies for minutes in reply]


def _by_name(flat: Sequence[bytes]) -> Mapping[str, bytes]:
    return {name.decode(errors="replace"): text for name, text in zip(flat[::2], flat[1::2], strict=True)}


def joined(minutes: Iterable[Mapping[str, bytes]]) -> Lately:
    """These minutes, in their order, as one stretch of time."""
    texts: dict[str, list[bytes]] = {}
    for minute in minutes:
        for name, text in minute.items():
            texts.setdefault(name, []).append(text)
    whole = texts.pop("", [])
    return Lately(tuple(whole), {name: tuple(some) for name, some in texts.items()})


def added(texts: Texts) -> Entry:
    """What was counted in all of them."""
    entry = Entry()
    for text in texts:
        _read(text, entry)
    return entry


async def names(client: aioredis.Redis, keys: QueueKeys) -> dict[str, float]:
    """Job names that did something within 90 days, and when last, in epoch seconds. One round trip."""
    rows: Any = await client.zrange(keys.stats_names(), 0, -1, withscores=True)
    return {name.decode(errors="replace"): score / 1000 for name, score in rows}


async def note_release(client: aioredis.Redis, prefix: str, release: str, now_ms: int) -> bool:
    """A worker of this release started. One round trip. True: it is the first of it."""
    key = releases_key(prefix)
    pipe = client.pipeline(transaction=False)
    pipe.zadd(key, {release: now_ms}, nx=True)
    pipe.zremrangebyrank(key, 0, -MOST_RELEASES - 1)
    added, _ = await pipe.execute()
    return bool(added)


async def releases(client: aioredis.Redis, prefix: str) -> list[tuple[str, float]]:
    """When each release first came, in epoch seconds, oldest first. One round trip."""
    rows: Any = await client.zrange(releases_key(prefix), 0, -1, withscores=True)
    return [(release.decode(errors="replace"), score / 1000) for release, score in rows]
