"""`queue.browse`: lists of jobs, search, logs and counts, for queues of any size. No call changes anything.

A page costs a few round trips however deep it lies; a search looks at a bounded number of jobs a call and
gives a cursor to go on. Redis is never held: each of its commands reads at most a few hundred ids or one job.

What is read is a moving picture. A job may change its state between two calls: it is shown as it stood when
it was looked at. A search from the newest end passes over no job that stays in its state; it may show one
twice. Every method raises RedisUnavailable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corral.bullmq import listing
from corral.bullmq.codec import JobRecord
from corral.bullmq.scripts import official
from corral.errors import InvalidInput
from corral.job import Job
from corral.search import Filter, Head, decode_cursor, encode_cursor

if TYPE_CHECKING:
    from corral.queue import Queue

#: In the order a search walks them if it is told none.
STATES = ("failed", "active", "waiting", "delayed", "waiting-children", "completed")

#: Jobs of a page; each is read whole.
MAX_PAGE = 1_000

#: Jobs that one call of a search looks at unless told otherwise: about a second of this process.
SCAN = 10_000


@dataclass(frozen=True, slots=True)
class SearchPage:
    """What one call of a search found: `jobs`, after having looked at `searched` of `total` jobs."""

    jobs: list[Job]
    #: Over all calls that led here by their cursors.
    searched: int
    total: int
    #: Give it to the next call; None: all has been looked at.
    cursor: str | None


@dataclass(frozen=True, slots=True)
class LogPage:
    """Rows of a job's log from number `start` on, of `total`."""

    rows: list[str]
    start: int
    total: int


class Browse:
    """Reading of one queue. Cheap to make: `queue.browse` makes one each time."""

    __slots__ = ("_queue",)

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def jobs(
        self, state: str, *, start: int = 0, count: int = 50, newest_first: bool = True
    ) -> list[Job]:
        """`count` jobs of a state from place `start` on. Three round trips.

        state: waiting (which includes prioritized ones), prioritized (alone), active, delayed, completed,
        failed or waiting-children.

        newest_first: from the end where jobs were added last, or run last; else in the order they run in.
        A job that is removed meanwhile is left out. Raises InvalidInput.
        """
        _check_states([state])
        _check_page(start, count)
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            found = await listing.page(client, keys, state, start, count, newest_first=newest_first)
            records = await listing.records(client, keys, [job_id for job_id, _ in found])
        return [
            self._job(record, status)
            for record, (_, status) in zip(records, found, strict=True)
            if record is not None
        ]

    async def search(
        self,
        *,
        states: Sequence[str] = STATES,
        name: str | None = None,
        id: str | None = None,  # noqa: A002  # what it is everywhere else
        error: str | None = None,
        added_after: float | None = None,
        added_before: float | None = None,
        finished_after: float | None = None,
        finished_before: float | None = None,
        where: Mapping[str, Any] | None = None,
        attempts_min: int | None = None,
        attempts_max: int | None = None,
        priority_min: int | None = None,
        priority_max: int | None = None,
        group: str | None = None,
        limit: int = 50,
        scan: int = SCAN,
        newest_first: bool = True,
        cursor: str | None = None,
    ) -> SearchPage:
        """Jobs of these states that fit all of the rest; see Filter for `name` to `group`.

        finished_after, finished_before: epoch seconds; only finished jobs have them, by index.
        limit: return after so many. scan: return after having looked at so many.
        cursor: go on where an earlier call with the same arguments stopped.

        Data that is encrypted fits no `where`, and a queue that encrypts takes none.

        A few round trips for each 250 jobs looked at; `where` reads the data of those that fit the rest.
        Raises InvalidInput.
        """
        _check_states(states)
        _check_page(0, limit)
        if scan < 1:
            raise InvalidInput(f"scan={scan}: at least one job.")
        if where and self._queue.sealing.active:
            raise InvalidInput(
                f"Queue {self._queue.name!r} encrypts its data, so `where` finds nothing in it. "
                "Search by name, id, error or time."
            )
        wanted = Filter(
            name, id, error, added_after, added_before, where or {},
            attempts_min, attempts_max, priority_min, priority_max, group,
        )  # fmt: skip
        within = listing.EVERYTHING
        if finished_after is not None or finished_before is not None:
            states = [state for state in states if state in ("completed", "failed")]
            within = listing.Scores(
                "-inf" if finished_after is None else finished_after * 1000,
                "+inf" if finished_before is None else finished_before * 1000,
            )
        with self._queue.redis_errors():
            return await self._search(
                wanted, states, within, limit=limit, scan=scan, newest_first=newest_first, cursor=cursor
            )

    async def _search(
        self,
        wanted: Filter,
        states: Sequence[str],
        within: listing.Scores,
        *,
        limit: int,
        scan: int,
        newest_first: bool,
        cursor: str | None,
    ) -> SearchPage:
        client, keys = self._queue.client(), self._queue.keys()
        chosen = listing.segments(states, newest_first=newest_first)
        place, before = decode_cursor(cursor)
        total = sum(await listing.lengths(client, keys, chosen, within)) if chosen else 0
        jobs: list[Job] = []
        searched = 0
        while place.segment < len(chosen) and searched < scan and len(jobs) < limit:
            segment = chosen[place.segment]
            step = await listing.walk(
                client,
                keys,
                segment,
                place,
                min(listing.BATCH, scan - searched),
                newest_first=newest_first,
                within=within,
            )
            if not step.ids:
                place = listing.Place(place.segment + 1)
                continue
            fitting = await self._fitting(wanted, step.ids)
            cut = fitting[: limit - len(jobs)]
            # Full in the middle of a step: go on right behind the last match.
            seen = step.ids.index(cut[-1]) + 1 if len(jobs) + len(cut) == limit else len(step.ids)
            records = await listing.records(client, keys, cut)
            jobs += [self._job(record, segment.state) for record in records if record is not None]
            place = step.places[seen - 1]
            searched += seen
        searched += before
        done = place.segment >= len(chosen)
        return SearchPage(
            jobs, searched, max(total, searched), None if done else encode_cursor(place, searched)
        )

    async def _fitting(self, wanted: Filter, ids: Sequence[str]) -> list[str]:
        client, keys = self._queue.client(), self._queue.keys()
        fitting = [job_id for job_id in ids if wanted.fits_id(job_id)]
        if fitting and wanted.needs_head:
            heads = await listing.heads(client, keys, fitting)
            fitting = [i for i, head in zip(fitting, heads, strict=True) if wanted.fits_head(Head(*head))]
        if fitting and wanted.where:
            data = await listing.data(client, keys, fitting)
            fitting = [i for i, raw in zip(fitting, data, strict=True) if wanted.fits_data(raw)]
        return fitting

    async def logs(self, job_id: str, *, start: int = 0, count: int = 100) -> LogPage:
        """Rows of a job's log, oldest first; a negative `start` counts from the end. One round trip.

        Raises InvalidInput.
        """
        if not 1 <= count <= MAX_PAGE:
            raise InvalidInput(f"count={count}: 1 to {MAX_PAGE:,}.")
        with self._queue.redis_errors():
            key = self._queue.keys().logs(job_id)
            pipe = self._queue.client().pipeline(transaction=False)
            pipe.llen(key)
            last = start + count - 1
            pipe.lrange(key, start, -1 if start < 0 <= last else last)
            total, rows = await pipe.execute()
        first = max(0, total + start) if start < 0 else start
        return LogPage([row.decode(errors="replace") for row in rows], first, total)

    async def priorities(self, *priorities: int) -> dict[int, int]:
        """How many jobs wait with each of these priorities; 0: without one. One round trip."""
        with self._queue.redis_errors():
            keys = self._queue.keys()
            script = official("getCountsPerPriority")
            found: Any = await script(self._queue.client(), [keys.wait, keys.prioritized], *priorities)
        return dict(zip(priorities, found, strict=True))

    def _job(self, record: JobRecord, status: str) -> Job:
        return Job(self._queue, record.id, record.name, record.data, record=record, status=status)

    def __repr__(self) -> str:
        return f"{self._queue!r}.browse"


def _check_states(states: Sequence[str]) -> None:
    wrong = [state for state in states if state not in listing.SEGMENTS]
    if wrong or not states or isinstance(states, str):
        known = ", ".join(listing.SEGMENTS)
        raise InvalidInput(f"{wrong[0] if wrong else states!r} is no state of a job. Choose of {known}.")


def _check_page(start: int, count: int) -> None:
    if start < 0 or not 1 <= count <= MAX_PAGE:
        raise InvalidInput(f"start={start}, count={count}: from 0 on, and 1 to {MAX_PAGE:,} jobs.")
