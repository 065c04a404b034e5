"""The reading half of `queue.dead`: groups, letters, previews, exports. See `corral.dead`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from corral.browse import MAX_PAGE, SCAN, SearchPage
from corral.bullmq import dead_groups, dead_letters, dead_operations, listing
from corral.bullmq.clock import server_seconds
from corral.bullmq.dead_index import BIN_BYTES, BIN_JOBS
from corral.deadletters import letters
from corral.deadletters.exporting import rows
from corral.deadletters.groups import STATES, Group, GroupsPage, Note, State, group_of, page_of
from corral.deadletters.indexing import Indexer, Turn
from corral.deadletters.letters import Letter
from corral.deadletters.policy import Policy, read_policy
from corral.deadletters.target import Filter, Target
from corral.errors import DeadLetterNotFound, InvalidInput, JobNotFound, WrongState
from corral.job import Job

if TYPE_CHECKING:
    from corral.queue import Queue

#: Jobs that a preview shows.
SAMPLE = 10


@dataclass(frozen=True, slots=True)
class Preview:
    """What an operation would be about: the dry run.

    count: jobs found; complete: that is all of them, else `searched` of `total` jobs were looked at so far
    and `cursor` goes on. sample: ids of some of them. bin_jobs, bin_bytes: room in the bin; what of a discard
    does not fit is gone for good.
    """

    about: str
    count: int
    sample: list[str]
    complete: bool
    searched: int
    total: int
    cursor: str | None
    bin_jobs: int
    bin_bytes: int


#: count, sample, cursor, searched, total
_Counted = tuple[int, list[str], str | None, int, int]


class Reading:
    """What can be seen of a queue's dead letters."""

    __slots__ = ("_queue",)

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    # Groups

    async def index(self) -> Turn:
        """Index what failed and take out what has left, as workers do all the time: see
        deadletters/indexing.py.

        At most some 50,000 jobs a call; call it again while `caught_up` is false.
        """
        with self._queue.redis_errors():
            return await Indexer(self._queue).turn()

    async def groups(
        self, *, states: Sequence[State] = STATES, start: int = 0, count: int = 1_000
    ) -> GroupsPage:
        """The groups, those seen last first, with how far the index is.

        Indexes first what is new, up to 2,000 jobs. Three round trips and those of the indexing.
        """
        _check_states(states)
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            await Indexer(self._queue).catch_up()
            (found,) = await dead_groups.read_groups(client, [keys], start=start, count=count)
            return page_of(self._queue.name, found, await server_seconds(client), states)

    async def group(self, group: str) -> Group:
        """One group. One round trip. Raises DeadLetterNotFound."""
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            (found,) = await dead_groups.read_groups(client, [keys], only=group)
            now = await server_seconds(client)
        if not found.rows:
            raise self._no_group(group)
        return group_of(self._queue.name, found.rows[0], now)

    async def notes(self, group: str) -> list[Note]:
        """What was noted of a group, oldest first. One round trip."""
        with self._queue.redis_errors():
            rows = await dead_groups.notes(self._queue.client(), self._queue.keys(), group)
        return [msgspec.json.decode(row, type=Note) for row in rows]

    # Letters

    async def jobs(self, group: str | None = None, *, start: int = 0, count: int = 50) -> list[Job]:
        """Failed jobs, or those of a group, the newest first. Up to three round trips.

        A job that left the failed set meanwhile is left out. Raises InvalidInput.
        """
        if group is None:
            return await self._queue.browse.jobs("failed", start=start, count=count)
        if start < 0 or not 1 <= count <= MAX_PAGE:
            raise InvalidInput(f"start={start}, count={count}: from 0 on, and 1 to {MAX_PAGE:,} jobs.")
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            ids = await dead_groups.members(client, keys, group, start, count)
            records = await listing.records(client, keys, ids)
        return [
            Job(self._queue, record.id, record.name, record.data, record=record, status="failed")
            for record in records
            if record is not None and record.finished_at is not None
        ]

    async def search(
        self, chosen: Filter, *, limit: int = 50, scan: int = SCAN, cursor: str | None = None
    ) -> SearchPage:
        """Failed jobs that fit a filter, the newest first: see `queue.browse.search`."""
        return await self._queue.browse.search(
            states=["failed"], **chosen.asked(), limit=limit, scan=scan, cursor=cursor
        )

    async def show(self, job_id: str, *, log_rows: int = 100) -> Letter:
        """All about one dead letter, its data among it: whoever shows it decides who may see that.

        log_rows: so many of the newest rows of its log. One round trip, another if a breaker held it.
        Raises JobNotFound, WrongState if it is not failed.
        """
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            stored = await dead_letters.read(client, keys, job_id, max(0, log_rows))
            if stored is None:
                raise JobNotFound(
                    f"Job {job_id} is not in queue {self._queue.name!r}. Its retention may have passed."
                )
            if not stored.is_failed:
                raise WrongState(
                    f"Job {job_id} of {self._queue.name!r} has not failed, so it is no dead letter."
                )
            record = stored.record
            breaker = letters.breaker_behind(record.failed_reason or "")
            is_open = bool(breaker) and await dead_letters.breaker_is_open(client, keys.prefix, breaker)
        sealing, checkpoint = self._queue.sealing, stored.checkpoint
        return Letter(
            queue=self._queue.name,
            id=record.id,
            name=record.name,
            group=letters.group_of(record),
            reason=record.failed_reason or "",
            cancelled=record.cancelled,
            attempts_made=record.attempts_made,
            attempts=letters.attempts_of(record),
            enqueued_at=record.enqueued_at,
            started_at=record.started_at,
            finished_at=record.finished_at,
            waited=letters.span(record.enqueued_at, record.started_at),
            ran=letters.span(record.started_at, record.finished_at),
            processed_by=record.processed_by,
            priority=record.priority,
            stalled=record.stalled_count,
            data=letters.plain(sealing.show("data", record.name, record.data)),
            checkpoint=letters.plain(checkpoint and sealing.show("checkpoint", job_id, checkpoint)),
            progress=sealing.shown("progress", job_id, record.progress),
            edited=stored.edited,
            parent=stored.parent,
            breaker=breaker,
            breaker_open=is_open,
            logs=stored.logs,
            log_rows=stored.log_rows,
        )

    async def original(self, job_id: str) -> Any:
        """The data that a job had before it was edited; None: it was not, or that was too long ago."""
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            raw = await dead_operations.original(client, keys, job_id)
            name: Any = None if raw is None else await client.hget(keys.job(job_id), "name")
        if raw is None or name is None:
            return letters.plain(raw)
        return letters.plain(self._queue.sealing.show("data", name.decode(errors="replace"), raw))

    # What an operation would be about

    async def preview(
        self,
        target: Target,
        *,
        scan: int | None = None,
        cursor: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Preview:
        """The dry run of an operation: how many, and some of them. A filter's jobs are all looked at, or up
        to `scan` of them a call. progress: told (searched, total) now and then. Raises DeadLetterNotFound.
        """
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            await Indexer(self._queue).catch_up()
            (found,) = await dead_groups.read_groups(client, [keys], only=target.group or "-")
            counted: _Counted
            if target.group:
                if not found.rows:
                    raise self._no_group(target.group)
                sample = await dead_groups.members(client, keys, target.group, 0, SAMPLE)
                size = found.rows[0].size
                counted = (size, sample, None, size, size)
            elif target.filter is not None and target.filter.asked():
                counted = await self._count(target.filter, scan, cursor, progress)
            elif target.filter is not None:
                sample = [job.id for job in await self.jobs(count=SAMPLE)]
                counted = (found.failed, sample, None, found.failed, found.failed)
            else:
                there = [i for i in target.ids if await client.zscore(keys.failed, i) is not None]
                counted = (len(there), there[:SAMPLE], None, len(target.ids), len(target.ids))
        count, sample, onward, searched, total = counted
        return Preview(
            about=str(target),
            count=count,
            sample=sample,
            complete=onward is None,
            searched=searched,
            total=total,
            cursor=onward,
            bin_jobs=max(0, BIN_JOBS - found.bin_jobs),
            bin_bytes=max(0, BIN_BYTES - found.bin_bytes),
        )

    async def _count(
        self,
        chosen: Filter,
        scan: int | None,
        cursor: str | None,
        progress: Callable[[int, int], None] | None,
    ) -> _Counted:
        count, sample = 0, list[str]()
        looked = 0
        while True:
            page = await self.search(chosen, limit=MAX_PAGE, cursor=cursor)
            count += len(page.jobs)
            sample += [job.id for job in page.jobs[: SAMPLE - len(sample)]]
            looked, cursor = page.searched, page.cursor
            if progress is not None:
                progress(page.searched, page.total)
            if cursor is None or (scan is not None and looked >= scan):
                return count, sample, cursor, page.searched, page.total

    def export(self, target: Target, *, redact: bool = False) -> AsyncIterator[dict[str, Any]]:
        """Dead letters as rows for JSON lines: see deadletters/exporting.py. Raises DeadLetterNotFound."""
        return rows(self, self._queue, target, redact=redact)

    async def policy(self) -> Policy:
        """How long dead letters stay, and how many are due. Two round trips."""
        return await read_policy(self._queue)

    def _no_group(self, group: str) -> DeadLetterNotFound:
        return DeadLetterNotFound(
            f"Queue {self._queue.name!r} has no group {group[:40]!r} of dead letters. "
            "`corral dead groups` lists them."
        )

    def __repr__(self) -> str:
        return f"{self._queue!r}.dead"


def _check_states(states: Sequence[State]) -> None:
    wrong = [state for state in states if state not in STATES]
    if wrong or isinstance(states, str):
        raise InvalidInput(f"{wrong or states!r}: states of a group are {', '.join(STATES)}.")
