"""Dead letters as rows for a file: one JSON object each, with their data or with its values taken out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from corral.bullmq import dead_groups, listing
from corral.bullmq.codec import JobRecord
from corral.deadletters.letters import attempts_of, group_of, plain
from corral.deadletters.target import Target

if TYPE_CHECKING:
    from corral.deadletters.reading import Reading
    from corral.queue import Queue

#: Jobs read at once: their data and traces may be a megabyte each.
BATCH = 50

REDACTED = "[redacted]"


async def rows(desk: Reading, queue: Queue, target: Target, *, redact: bool) -> AsyncIterator[dict[str, Any]]:
    """Dead letters as rows, the newest first. redact: without what is in their data.

    A round trip for each 50 jobs. Jobs that come or go meanwhile may be in it or not; none is twice.
    """
    async for ids in _ids(desk, queue, target):
        with queue.redis_errors():
            records = await listing.records(queue.client(), queue.keys(), ids)
        for record in records:
            if record is not None:
                yield row_of(queue, record, redact=redact)


async def _ids(desk: Reading, queue: Queue, target: Target) -> AsyncIterator[list[str]]:
    if target.ids:
        for first in range(0, len(target.ids), BATCH):
            yield list(target.ids[first : first + BATCH])
    elif target.filter is not None:
        cursor: str | None = None
        while True:
            page = await desk.search(target.filter, limit=BATCH, cursor=cursor)
            yield [job.id for job in page.jobs]
            cursor = page.cursor
            if cursor is None:
                return
    else:
        await desk.group(target.group)
        place: tuple[float, str] | None = None
        while True:
            with queue.redis_errors():
                found = await dead_groups.members_before(
                    queue.client(), queue.keys(), target.group, place, BATCH
                )
            if not found:
                return
            yield [job_id for job_id, _ in found]
            place = (found[-1][1], found[-1][0])


def row_of(queue: Queue, record: JobRecord, *, redact: bool) -> dict[str, Any]:
    """One dead letter. redact: the data's shape alone, without its values; reason and traces go, since an
    error's text may repeat what it met.
    """
    data = plain(queue.sealing.show("data", record.name, record.data))
    attempts = [
        {"number": a.number, "error": a.error, "frame": a.frame} | ({} if redact else {"trace": a.trace})
        for a in attempts_of(record)
    ]
    return {
        "queue": queue.name,
        "id": record.id,
        "name": record.name,
        "group": group_of(record),
        "reason": None if redact else record.failed_reason,
        "attemptsMade": record.attempts_made,
        "attempts": attempts,
        "enqueuedAt": record.enqueued_at,
        "startedAt": record.started_at,
        "finishedAt": record.finished_at,
        "processedBy": record.processed_by,
        "priority": record.priority,
        "data": _shape(data) if redact else data,
    }


def _shape(data: Any) -> Any:
    try:
        return redacted(data)
    except RecursionError:  # deeper than anybody reads
        return REDACTED


def redacted(value: Any) -> Any:
    """The same shape without what is in it: names of fields stay, values become their kind."""
    if isinstance(value, dict):
        return {name: redacted(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [redacted(inner) for inner in value]
    return value if value is None or isinstance(value, bool) else REDACTED
