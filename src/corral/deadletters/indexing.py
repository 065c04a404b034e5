"""Keeping the index of dead letters: what has failed goes into its group, what has left goes out.

A turn is bounded, so that a failed set of a million jobs is indexed over minutes, in steps of some
milliseconds each, while the queue works. Workers take turns (`worker/desk.py`); whoever reads the desk does
a small one first, so that a queue with a few thousand dead letters is always shown as it is.

What was missed (a worker's clock was behind by more than a minute, a turn that broke off) is found by the
patrol: each turn also looks at a part of the whole failed set and of the whole index, more of it when their
sizes differ.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from corral.bullmq import dead_index as wire
from corral.bullmq.dead_index import BEGINNING, START, Entry, Failure, Look, Place, SweepPlace
from corral.deadletters.fingerprint import VERSION, fingerprint

if TYPE_CHECKING:
    from corral.queue import Queue

#: New failures that one turn indexes; a reader waits for fewer.
MOST_NEW, READERS_NEW = 50_000, 2_000

#: Jobs that the patrol looks at in a turn, and when something is missing.
PATROL, SEARCH = 5_000, 50_000


@dataclass(slots=True)
class Patrol:
    """How far this process's rounds over the failed set and over the index have come."""

    place: Place = BEGINNING
    swept: SweepPlace = field(default_factory=SweepPlace)


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn did. `reopened`: groups that failed again after they were resolved, or ignored long enough.

    caught_up: it came to the newest failure.
    """

    new: int
    removed: int
    reopened: tuple[str, ...]
    caught_up: bool


@dataclass(slots=True)
class _Walk:
    """A walk over failed jobs: what it indexed, what it saw last, and whether it came to the end."""

    place: Place
    new: int = 0
    reopened: list[str] = field(default_factory=list)
    seen: Look | None = None
    ended: bool = False


class Indexer:
    """Indexes one queue. Raises what redis-py raises."""

    __slots__ = ("_looks", "_patrol", "_queue", "_rest")

    def __init__(
        self, queue: Queue, patrol: Patrol | None = None, *, rest: float = 0.0, looks: int = wire.LOOKS
    ) -> None:
        """rest: after each step it sleeps so many times as long as the step took. looks: jobs of a step."""
        self._queue = queue
        self._rest = rest
        self._looks = looks
        self._patrol = patrol or Patrol()

    async def turn(self, *, most_new: int = MOST_NEW, patrol: int = PATROL, search: int = SEARCH) -> Turn:
        """Index what is new, then look after the rest: `patrol` jobs, or `search` if something is missing.

        A round trip for each 1,000 jobs looked at, and two for each 100 that are new.
        """
        walk = _Walk(START)
        await self._follow(walk, most_new=most_new)
        if walk.seen is not None and walk.seen.version not in ("", VERSION):
            await self.start_anew()
            walk = _Walk(START)
            await self._follow(walk, most_new=most_new)
        if not walk.ended or walk.seen is None:
            return Turn(walk.new, 0, tuple(walk.reopened), caught_up=False)
        budget = patrol if walk.seen.indexed + walk.new == walk.seen.failed else search
        removed = await self._sweep(budget)
        round_ = _Walk(self._patrol.place)
        await self._follow(round_, most_looks=budget)
        self._patrol.place = BEGINNING if round_.ended else round_.place
        return Turn(walk.new + round_.new, removed, (*walk.reopened, *round_.reopened), caught_up=True)

    async def catch_up(self) -> Turn:
        """A small turn, for who is about to read."""
        return await self.turn(most_new=READERS_NEW, patrol=wire.LOOKS, search=PATROL)

    async def start_anew(self) -> None:
        """Forget the index; the next turns make it again. What was said of groups stays."""
        await wire.start_anew(self._queue.client(), self._queue.keys())

    async def _follow(
        self, walk: _Walk, *, most_new: int = sys.maxsize, most_looks: int = sys.maxsize
    ) -> None:
        """Walk to the newest failure, or until so many were new or looked at."""
        client, keys = self._queue.client(), self._queue.keys()
        looked = 0
        while not walk.ended and walk.new < most_new and looked < most_looks:
            started = time.monotonic()
            seen = walk.seen = await wire.look(client, keys, walk.place, looks=self._looks)
            if seen.version not in ("", VERSION):
                return
            if seen.found:
                # All up to here was looked at: by this walk, or by the one before, which began where the
                # index stood.
                new, reopened = await wire.write(
                    client, keys, entries_of(seen.found), seen.place.score, VERSION
                )
                walk.new += new
                walk.reopened += reopened
            walk.place = seen.place
            walk.ended = seen.looked < self._looks and not seen.found
            looked += seen.looked
            if not walk.ended:
                await self._sleep_after(started)

    async def _sweep(self, budget: int) -> int:
        client, keys = self._queue.client(), self._queue.keys()
        removed = 0
        while budget > 0:
            started = time.monotonic()
            place, some = await wire.sweep(client, keys, self._patrol.swept, count=self._looks)
            removed += some
            budget -= self._looks
            self._patrol.swept = place
            if not place.group:
                break
            await self._sleep_after(started)
        return removed

    async def _sleep_after(self, started: float) -> None:
        if self._rest:
            await asyncio.sleep(self._rest * (time.monotonic() - started))


def entries_of(failures: Sequence[Failure]) -> list[Entry]:
    """Each failure with its group."""
    entries = []
    for failure in failures:
        kind = fingerprint(failure.name, failure.reason, failure.stacktrace, cancelled=failure.cancelled)
        facts = ["error", kind.error, "frame", kind.frame, "name", kind.name, "text", kind.text]
        entries.append(Entry(failure.id, failure.score, kind.id, facts))
    return entries
