"""The queue `analytics`: what users did, in batches, to the sinks that the settings name.

    up to 500 events or 1 s → each sink takes the batch → every job ends by itself

Guarantees: an event whose job completed is in every sink. An event that a sink refuses goes to the dead
letters alone, with the reason; the rest of its batch completes. An event id counts once: writing again is
harmless, so a batch that was cut short is simply written again. With several sinks a job remembers those that
have its event, and asks only the others again.
Limits: the order of events is not kept. A sink whose key or table is wrong holds the jobs, a minute at a
time, without spending attempts.

Options: CORRAL_ANALYTICS_SINK and what the sinks read (`corral.sinks`).
Emits the log event `analytics_not_stored` (warning): a sink, how many events, and why.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any

import msgspec
import structlog
from msgspec import Meta

from corral.batch import Batch, BatchJob
from corral.errors import CorralError, Snooze, Unrecoverable
from corral.policy import Priority, Retry
from corral.providers import providers
from corral.queue import Queue
from corral.sinks.event import Event, Sink

log = structlog.get_logger(__name__)

#: Batches under way at once in a process: a sink over the network answers in tens of milliseconds or more.
BATCHES = 4

#: Checkpoints written at once, after a batch that some sink did not take: each holds a connection.
CHECKPOINTS = 10

#: The waits are 30 s to 4 min: a sink that is being restarted or upgraded is back by then.
queue = Queue(
    "analytics",
    retry=Retry(attempts=5, backoff="exponential", delay=30, jitter=0.2),
    timeout=60,
    priority=Priority.LOW,
    concurrency=BATCHES,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Milliseconds since 1970. Less than 1973 is a time in seconds, sent by mistake; 2200 is further than all
#: sinks go.
_Milliseconds = Annotated[int, Meta(ge=10**11, lt=7_258_118_400_000)]
_FIRST_YEAR, _LAST_YEAR = 1973, 2199

_SINKS = "sinks"


class AnalyticsEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Something that a user, or somebody unknown, did.

    timestamp: ISO 8601 with a time zone, or milliseconds since 1970; 1973 to 2199.
    event_id: the sender's own; events with the same one are one. Left out, the job stands for it.
    """

    event: Annotated[str, Meta(min_length=1, max_length=200)]
    properties: dict[str, Any]
    timestamp: Annotated[datetime, Meta(tz=True)] | _Milliseconds
    user_id: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    event_id: Annotated[str, Meta(min_length=1, max_length=100)] | None = None

    def __post_init__(self) -> None:
        at = self.timestamp
        # A day inside on both sides, so that no time zone leads out.
        if isinstance(at, datetime) and not (_FIRST_YEAR <= at.year <= _LAST_YEAR):
            raise ValueError(f"`timestamp` is not between {_FIRST_YEAR} and {_LAST_YEAR}")


class Tracked(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the job returns: the id that the event has in the sinks."""

    event_id: str
    sinks: tuple[str, ...]


@queue.job("track", batch=Batch(size=500, linger=1.0))
async def track(jobs: list[BatchJob], data: list[AnalyticsEvent]) -> list[Tracked | BaseException]:
    """Write a batch to every sink."""
    sinks = (await providers()).sinks
    names = tuple(sink.name for sink in sinks)
    events = [as_event(job.id, job.enqueued_at, item) for job, item in zip(jobs, data, strict=True)]
    have = [taken(job.checkpoints) for job in jobs] if len(sinks) > 1 else [frozenset[str]()] * len(jobs)
    refusals = await asyncio.gather(*(_write(sink, events, have) for sink in sinks))
    by_sink = dict(zip(names, refusals, strict=True))
    ends: list[Tracked | BaseException] = []
    remember: dict[BatchJob, list[str]] = {}
    for index, (job, event) in enumerate(zip(jobs, events, strict=True)):
        errors = [refused[index] for refused in refusals if index in refused]
        if not errors:
            ends.append(Tracked(event_id=event.id, sinks=names))
            continue
        error = gravest(errors)
        ends.append(error)
        stored = [name for name in names if index not in by_sink[name]]
        if not isinstance(error, Unrecoverable) and len(stored) > len(have[index]):
            remember[job] = stored
    await _remember(remember)
    return ends


async def _write(sink: Sink, events: Sequence[Event], have: Sequence[frozenset[str]]) -> dict[int, Exception]:
    """Write the events that this sink does not have. Returns, by index, the errors of those not taken."""
    indexes = [index for index, names in enumerate(have) if sink.name not in names]
    if not indexes:
        return {}
    refused: dict[int, Exception]
    try:
        rejected = await sink.write([events[index] for index in indexes])
    except Exception as error:
        refused = dict.fromkeys(indexes, error)
    else:
        refused = {indexes[one.index]: one.error for one in rejected}
    for (kind, reason), count in Counter(map(_reason, refused.values())).items():
        log.warning("analytics_not_stored", sink=sink.name, events=count, kind=kind, reason=reason)
    return refused


def _reason(error: Exception) -> tuple[str, str]:
    # Only our own errors are known to quote nothing of the events.
    return type(error).__name__, str(error) if isinstance(error, CorralError) else ""


async def _remember(stored: Mapping[BatchJob, list[str]]) -> None:
    """Note in each job which sinks have its event. What cannot be noted is only written again."""
    left = iter(stored.items())
    while some := list(islice(left, CHECKPOINTS)):
        await asyncio.gather(
            *(job.checkpoint({_SINKS: names}) for job, names in some), return_exceptions=True
        )


# Decisions


def as_event(job_id: str, enqueued_at: float, data: AnalyticsEvent) -> Event:
    """The event that a job stands for. `enqueued_at`: epoch seconds."""
    at = data.timestamp
    return Event(
        id=data.event_id or event_id_of(job_id, enqueued_at),
        name=data.event,
        user_id=data.user_id,
        properties=data.properties,
        at=at.astimezone(UTC) if isinstance(at, datetime) else _EPOCH + timedelta(milliseconds=at),
        received_at=_EPOCH + timedelta(milliseconds=round(enqueued_at * 1000)),
    )


def event_id_of(job_id: str, enqueued_at: float) -> str:
    """The id of an event that brings none: the job's, the same at every attempt.

    Redis counts ids from 1, and again from 1 when it was emptied; those get the time of their adding, so that
    a new event is not taken for an old one that a sink still has.
    """
    return f"{job_id}-{round(enqueued_at * 1000)}" if job_id.isdecimal() else job_id


def taken(checkpoints: Mapping[str, Any]) -> frozenset[str]:
    """The sinks that have the event of a job with these checkpoints."""
    return frozenset(checkpoints.get(_SINKS, ()))


def gravest(errors: Sequence[Exception]) -> Exception:
    """The error that a job ends with when several sinks did not take its event.

    One that waits for an operator comes first: no attempt is spent meanwhile. One that time may heal comes
    before one that is final, so that the other sinks get the event before the job is given up.
    """
    return min(errors, key=_rank)


def _rank(error: Exception) -> int:
    if isinstance(error, Snooze):
        return 0
    return 2 if isinstance(error, Unrecoverable) else 1
