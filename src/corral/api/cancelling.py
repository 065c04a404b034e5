"""Cancelling a job over HTTP.

`DELETE /v1/queues/{queue}/jobs/{jobId}?reason=` answers 200 `removed` for a job that had not started, 202
`signalled` for one that runs (a Corral worker ends it within a second; GET with `?wait=` tells when), and a
409 problem for one that is finished or cannot be cancelled by itself. The reason becomes the job's failed
reason, which whoever may read jobs can see.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import Response, delete
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.api.problems import Problem, Refused
from corral.api.service import Service, permits
from corral.bullmq.cancel import REASON_LIMIT
from corral.cancelling import Cancelled


class Cancellation(msgspec.Struct, frozen=True, rename="camel"):
    """The answer of DELETE /v1/queues/{queue}/jobs/{id}."""

    job_id: str
    queue: str
    status: Literal["removed", "signalled"]


@delete("/v1/queues/{queue:str}/jobs/{job_id:str}", guards=[permits(Permission.CANCEL)], status_code=200)
async def cancel(
    service: NamedDependency[Service],
    queue: FromPath[str],
    job_id: FromPath[str],
    reason: Annotated[str, QueryParameter(max_length=REASON_LIMIT)] = "",
) -> Response[Cancellation]:
    """Cancel a job. Raises JobNotFound, CannotCancel."""
    asked = service.known.named(queue)
    async with answering():
        met = await asked.cancel(job_id, reason)
    if met is Cancelled.FINISHED:
        raise Refused(
            Problem(
                409,
                "job-finished",
                "The job is finished",
                f"Job {job_id[:100]!r} in {queue!r} had ended before it could be cancelled.",
            )
        )
    if met is Cancelled.REMOVED:
        return Response(Cancellation(job_id, queue, "removed"))
    return Response(Cancellation(job_id, queue, "signalled"), status_code=202)
