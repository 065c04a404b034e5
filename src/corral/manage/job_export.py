"""GET /api/v1/queues/{queue}/jobs/export: the jobs of a state that fit a filter, as a file of JSON lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from corral.api.auth import Permission
from corral.dead import Filter
from corral.errors import InvalidInput
from corral.manage.bulk_operations import State
from corral.manage.job_rows import stored
from corral.manage.jobs import rows_of
from corral.manage.service import Actor, Management, asks_for
from corral.queue import Queue

_JSON_LINES = "application/x-ndjson"

#: Jobs of one file, and of one page of it.
MOST, PAGE = 100_000, 100


@get(
    "/queues/{queue:str}/jobs/export",
    guards=[asks_for(Permission.READ_PAYLOADS)],
    tags=["jobs"],
    media_type=_JSON_LINES,
)
async def export_jobs(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    of_state: Annotated[State, QueryParameter(name="state")],
    chosen: Annotated[str, QueryParameter(name="filter")] = "{}",
) -> Stream:
    """Up to 100,000 jobs with their data, as JSON lines. filter: JSON, as that of an operation."""
    try:
        wanted = msgspec.json.decode(chosen, type=Filter)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"filter: {error}") from None
    found = management.queue(queue)
    await management.record(
        actor, "jobs.export", queue, {"state": of_state, "filter": sorted(wanted.asked())}
    )
    return Stream(_lines(found, of_state, wanted), media_type=_JSON_LINES)


async def _lines(queue: Queue, state: str, wanted: Filter) -> AsyncIterator[bytes]:
    cursor: str | None = None
    written = 0
    while written < MOST:
        page = await queue.browse.search(
            states=[state], **wanted.asked(), limit=PAGE, newest_first=False, cursor=cursor
        )
        for row, job in zip(await rows_of(queue, page.jobs, payloads=True), page.jobs, strict=False):
            plain = msgspec.to_builtins(row)
            plain.pop("preview")
            sealed = queue.sealing.show("data", job.name, job.raw_data)
            yield msgspec.json.encode(plain | {"data": stored(sealed)}) + b"\n"
            written += 1
        cursor = page.cursor
        if cursor is None:
            return


#: For `routes`.
EXPORT_HANDLERS = [export_jobs]
