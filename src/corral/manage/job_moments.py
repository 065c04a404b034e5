"""GET /api/v1/queues/{queue}/jobs/{id}/moments: what happened to a job besides its runs.

BullMQ's event stream (some 10,000 events of the whole queue) and the audit log tell of a job also when it is
gone. Both are read from the newest back, so far and no further.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from corral import audit
from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.bullmq import stream
from corral.bullmq.clock import server_seconds
from corral.data import decode_json
from corral.errors import InvalidData
from corral.manage.audit import AuditRow
from corral.manage.job_rows import number_of
from corral.manage.service import Actor, Management, asks_for

#: Events and audit entries that one request looks at.
EVENTS, ENTRIES = 4_000, 1_000

#: Of one job: the newest.
MOST = 200


class Moment(msgspec.Struct, frozen=True, rename="camel"):
    """An event of the job: added, waiting, active, delayed, progress, stalled, completed … At epoch seconds.

    previous: the state that it left. progress: of a progress event; not a number: null without payloads.
    due: of a delayed event.
    """

    at: float
    name: str
    previous: str
    progress: Any = None
    due: float | None = None


class Moments(msgspec.Struct, frozen=True, rename="camel"):
    """Oldest first. since: events before this time are not kept, or were not read; null: all are there."""

    at: float
    since: float | None
    events: list[Moment]
    changes: list[AuditRow]


@get("/queues/{queue:str}/jobs/{job_id:str}/moments", guards=[asks_for(Permission.WATCH)], tags=["jobs"])
async def read_moments(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: FromPath[str],
    job_id: FromPath[str],
    after: FromQuery[float] = 0.0,
) -> Moments:
    """Events and changes of a job since `after` (epoch seconds), there or gone. Up to six round trips."""
    chosen = management.queue(queue)
    payloads = actor.sees_payloads
    async with answering():
        with chosen.redis_errors():
            client, keys = chosen.client(), chosen.keys()
            found, entries, now = await asyncio.gather(
                stream.newest(client, keys, after_ms=round(after * 1000), most=EVENTS),
                audit.entries(management.client, management.prefix, count=ENTRIES),
                server_seconds(client),
            )
    target = f"{queue}:{job_id}"
    return Moments(
        at=now,
        since=found.since_ms / 1000 if found.since_ms is not None else None,
        events=moments(job_id, found.entries, payloads=payloads),
        changes=[
            AuditRow(id=e.id, at=e.at, actor=e.actor, action=e.action, target=e.target, facts=dict(e.facts))
            for e in reversed(entries)
            if e.target == target
        ],
    )


def moments(job_id: str, entries: list[stream.Entry], *, payloads: bool) -> list[Moment]:
    """Those of a job, the oldest first."""
    return [
        Moment(
            at=position[0] / 1000,
            name=fields.get("event", ""),
            previous=fields.get("prev", ""),
            progress=_progress(fields, payloads=payloads),
            due=_due(fields),
        )
        for position, fields in entries
        if fields.get("jobId") == job_id
    ][-MOST:]


def _progress(fields: dict[str, str], *, payloads: bool) -> Any:
    if fields.get("event") != "progress":
        return None
    try:
        value = decode_json(fields.get("data", "null").encode())
    except InvalidData:
        return None
    return value if payloads else number_of(value)


def _due(fields: dict[str, str]) -> float | None:
    try:
        return float(fields["delay"]) / 1000 if fields.get("event") == "delayed" else None
    except (KeyError, ValueError):
        return None
