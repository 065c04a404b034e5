"""Statistics of a queue: what came, how it ended, how long it waited and ran, by minute and by hour.

    for span in await queue.stats.series(minutes=60):
        print(span.at, span.completed, span.run_quantile(0.95))

Workers write them every few seconds (`worker/reporting.py`), whatever client added the jobs; nothing has to
be set up. Minutes are kept for 24 hours, hours for 90 days. docs/operate/statistics.md: how exact they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import redis.asyncio as aioredis

from corral.bullmq import depths, statistics
from corral.bullmq.clock import server_ms
from corral.bullmq.depths import Depth
from corral.bullmq.statistics import COUNTED, HOUR, MINUTE, Entry, Texts, Unit
from corral.errors import InvalidInput
from corral.observe import buckets
from corral.observe.standing import Recent

if TYPE_CHECKING:
    from corral.queue import Queue


#: The quantiles that are shown.
SHARES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a queue, or one of its job names, did in `seconds` from `at` (epoch seconds) on."""

    at: float
    seconds: float
    #: Jobs added; for a job name, jobs started for the first time, since nobody counts the names of adds.
    arrived: int = 0
    #: Attempts.
    started: int = 0
    completed: int = 0
    #: Jobs that ended in the dead letters.
    failed: int = 0
    #: Jobs that ended because somebody cancelled them while they ran.
    cancelled: int = 0
    #: Attempts that failed and are tried again.
    retried: int = 0
    #: Attempts that ended unspent: Snooze, a durable wait, held by a breaker, a stop.
    put_back: int = 0
    #: Jobs that were taken from a dead or silent worker.
    stalled: int = 0
    #: Of the whole queue only: jobs whose lock another worker took, and outages of Redis that ended.
    lost_locks: int = 0
    reconnects: int = 0
    #: Times by bucket; see `corral.observe.buckets`.
    wait: Mapping[int, int] = field(default_factory=dict)
    run: Mapping[int, int] = field(default_factory=dict)

    def wait_quantile(self, share: float) -> float | None:
        """Seconds that `share` (0 to 1) of the jobs waited at most, within 3 %; None: none started."""
        return buckets.quantile(self.wait, share)

    def run_quantile(self, share: float) -> float | None:
        """Seconds that `share` of the attempts took at most, within 3 %; None: none ended."""
        return buckets.quantile(self.run, share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """How many jobs a queue had in the minute from `at` (epoch seconds) on; for an hour, the most of each."""

    at: float
    waiting: int = 0
    active: int = 0
    #: Without those that a breaker holds.
    delayed: int = 0
    held: int = 0
    failed: int = 0
    #: How long the oldest had waited that could have started; 0: none waited.
    oldest_seconds: float = 0.0


#: Seconds that half, 95 and 99 % of the times did not exceed; None: nothing was timed.
Quantiles = tuple[float | None, ...]


class Sums(NamedTuple):
    """What was counted in some time. counts: in the order of `bullmq.statistics.COUNTED`."""

    counts: tuple[int, ...]
    wait: Quantiles
    run: Quantiles


class Summary(NamedTuple):
    """What a queue, or one of its job names, did in `seconds` from `at` (epoch seconds) on."""

    at: float
    seconds: float
    sums: Sums


@dataclass(frozen=True, slots=True)
class Mark:
    """When the first worker of a release came. `at`: epoch seconds."""

    release: str
    at: float


class Stats:
    """The statistics of one queue. Every method raises RedisUnavailable."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def series(
        self, *, minutes: int | None = None, hours: int | None = None, name: str | None = None
    ) -> list[Span]:
        """The last so many minutes (60 without a number, at most 1,440) or hours (at most 2,160).

        A span for each, oldest first; the last one is not over yet. name: of this job name alone.
        One round trip, of a megabyte at most for 90 days.
        Raises InvalidInput for both, or a number out of range.
        """
        unit, count = chosen_unit(minutes, hours)
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            now_ms = await server_ms(client)
            first, entries = await statistics.read_series(client, keys, unit, count, now_ms, name)
        return [span((first + n) * unit.ms / 1000, unit.ms / 1000, entry) for n, entry in enumerate(entries)]

    async def summaries(
        self, *, minutes: int | None = None, hours: int | None = None, name: str | None = None
    ) -> list[Summary]:
        """`series` without the times themselves, for who shows quantiles alone; several times as quick.

        Raises InvalidInput as `series`. Two round trips.
        """
        unit, count = chosen_unit(minutes, hours)
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            now_ms = await server_ms(client)
            first, texts = await statistics.read_texts(client, keys, unit, count, now_ms, name)
        return [
            Summary((first + n) * unit.ms / 1000, unit.ms / 1000, NOTHING if text is None else summed(text))
            for n, text in enumerate(texts)
        ]

    async def recent(self, seconds: float = 300, *, name: str | None = None) -> Recent:
        """The last minutes as one. One round trip.

        They are whole minutes up to now, so `Recent.window_seconds` is up to a minute less than `seconds`.
        Raises InvalidInput for more than 24 hours.
        """
        if not 60 <= seconds <= MINUTE.kept * 60:
            raise InvalidInput(f"seconds={seconds:g}: 60 to {MINUTE.kept * 60:,}.")
        minutes = round(seconds / 60)
        with self._queue.redis_errors():
            client = self._queue.client()
            now_ms = await server_ms(client)
            (lately,) = await statistics.read_recent(client, [self._queue.keys()], minutes, now_ms)
        texts = lately.whole if name is None else lately.names.get(name, ())
        return recent_of(texts, window_seconds(minutes, now_ms))

    async def names(self) -> dict[str, float]:
        """Job names that did something within 90 days, and when last (epoch seconds). One round trip."""
        with self._queue.redis_errors():
            return await statistics.names(self._queue.client(), self._queue.keys())

    async def depths(self, *, minutes: int | None = None, hours: int | None = None) -> list[Moment]:
        """How many jobs there were: the last so many minutes (60 without a number) or the most in hours.

        Oldest first; what nobody saw is not among them. One round trip. Raises InvalidInput as `series`.
        """
        unit, count = chosen_unit(minutes, hours)
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            now_ms = await server_ms(client)
            (found,) = await depths.read_series(client, [keys], unit, count, now_ms)
        first = now_ms // unit.ms - count + 1
        return [moment((first + n) * unit.ms / 1000, one) for n, one in enumerate(found) if one is not None]

    async def marks(self) -> list[Mark]:
        """When each release of the workers first came, oldest first; of all queues. One round trip."""
        with self._queue.redis_errors():
            return await read_marks(self._queue.client(), self._queue.keys().prefix)


async def read_marks(client: aioredis.Redis, prefix: str) -> list[Mark]:
    """When each release of the workers first came, oldest first. One round trip.

    Raises what redis-py raises.
    """
    return [Mark(release, at) for release, at in await statistics.releases(client, prefix)]


def chosen_unit(minutes: int | None, hours: int | None) -> tuple[Unit, int]:
    """What was asked for, 60 minutes without a number. Raises InvalidInput."""
    if minutes is not None and hours is not None:
        raise InvalidInput("Say minutes or hours, not both.")
    unit, count = (HOUR, hours) if hours is not None else (MINUTE, 60 if minutes is None else minutes)
    if not 1 <= count <= unit.kept:
        what = "hours" if unit is HOUR else "minutes"
        raise InvalidInput(f"{what}={count}: 1 to {unit.kept:,} are kept.")
    return unit, count


def moment(at: float, depth: Depth) -> Moment:
    numbers = depth._asdict()
    return Moment(at=at, oldest_seconds=numbers.pop("oldest_ms") / 1000, **numbers)


def span(at: float, seconds: float, entry: Entry) -> Span:
    return Span(at=at, seconds=seconds, wait=entry.wait, run=entry.run, **entry.counts)


NOTHING = Sums((0,) * len(COUNTED), (None,) * len(SHARES), (None,) * len(SHARES))


#: An hour that is over never changes, and a page that shows ninety days asks for the same two thousand again.
#: They are known by their very texts, so nothing has to be told when one does change. Some 600 bytes each.
@lru_cache(maxsize=8_192)
def summed(text: bytes) -> Sums:
    """What an entry, as it is kept, tells."""
    entry = statistics.ordered(text)
    wait, run = (tuple(buckets.quantiles_in_order(*times, *SHARES)) for times in (entry.wait, entry.run))
    return Sums(entry.counts, wait, run)


def window_seconds(minutes: int, now_ms: int) -> float:
    """How long the last minutes are, the one that is not over among them."""
    return (minutes - 1) * 60 + now_ms % MINUTE.ms / 1000


def recent_of(texts: Texts, seconds: float) -> Recent:
    """What these entries tell of the last `seconds`."""
    facts = _facts_kept(texts) if len(texts) <= FEW else _facts(texts)
    return Recent(window_seconds=max(seconds, 1.0), **facts)


def _facts(texts: Texts) -> Mapping[str, Any]:
    """All of `Recent` but the window, which differs with each look."""
    entry = statistics.added(texts)
    counts = entry.counts
    wait, run = (buckets.quantiles(times, *SHARES) for times in (entry.wait, entry.run))
    return {
        "arrived": counts.get("arrived", 0),
        "completed": counts.get("completed", 0),
        "failed": counts.get("failed", 0),
        "cancelled": counts.get("cancelled", 0),
        "retried": counts.get("retried", 0),
        "stalled": counts.get("stalled", 0),
        "wait_p50": wait[0],
        "wait_p95": wait[1],
        "wait_p99": wait[2],
        "run_p50": run[0],
        "run_p95": run[1],
        "run_p99": run[2],
    }


#: Entries of the usual window, five minutes. What so many told is kept by their very texts: a look adds
#: up again only what changed since the last one: of 200 queues with seven job names, some of 1,600 sums.
#: A kilobyte each; the one that was not asked for longest goes first.
FEW, KEPT = 5, 4_096

_facts_kept = lru_cache(maxsize=KEPT)(_facts)
