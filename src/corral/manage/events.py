"""GET /api/v1/events: what happens in queues, live as server-sent events; /api/v1/events/recent: what was.

A page reads the past first, and goes on with the live stream behind it: `after` of the one is that of the
other. A batch's id says where the stream stands in each queue; who comes back with it as Last-Event-ID gets
what it missed, as far as Redis has it (about 10,000 events a queue), and is told how many are gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, HeaderParameter, QueryParameter
from litestar.response import Stream

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.api.sse import MEDIA_TYPE
from corral.bullmq import stream
from corral.bullmq.stream import Entry, Position
from corral.events import make_event
from corral.manage import events_places as places
from corral.manage.events_feed import EventBatch, Feed
from corral.manage.events_names import JobNames
from corral.manage.events_places import Cursor, Place
from corral.manage.events_rows import QueueEventRow, Wanted, event_row
from corral.manage.queue_names import names_of
from corral.manage.queues import known_queues
from corral.manage.service import Actor, Management, asks_for
from corral.manage.streaming import EventStream, still_allowed
from corral.queue import Queue

#: Queues of one stream: each busy one costs a connection to Redis, shared by all who listen.
MOST_QUEUES = 100

#: Past events that one request looks at.
SCAN = 2_000

#: Seconds for a page of past events.
RECENT_SECONDS = 3.0

Queues = Annotated[list[str] | None, QueryParameter(name="queue")]
Kinds = Annotated[list[str] | None, QueryParameter(name="kind")]
JobId = Annotated[str | None, QueryParameter(name="id")]


class RecentEvents(msgspec.Struct, frozen=True, rename="camel"):
    """Past events, newest first, that fit, of `searched`. before: to go on with older ones; null: all were
    looked at. after: where the live stream goes on behind them; only of the first page.

    queues: those that are looked at, of `queuesInAll`.
    """

    events: list[QueueEventRow]
    searched: int
    before: str | None
    after: str | None
    queues: list[str]
    queues_in_all: int
    redacted: bool


@get(
    "/events",
    guards=[asks_for(Permission.WATCH)],
    tags=["events"],
    responses={
        200: ResponseSpec(
            EventBatch, generate_examples=False, description="Batches of events", media_type=MEDIA_TYPE
        )
    },
    response_headers=[ResponseHeader(name="x-accel-buffering", value="no", documentation_only=True)],
)
async def live_events(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: Queues = None,
    kind: Kinds = None,
    name: FromQuery[str | None] = None,
    job_id: JobId = None,
    after: FromQuery[str | None] = None,
    last_event_id: Annotated[str | None, HeaderParameter(name="Last-Event-ID")] = None,
) -> Stream:
    """What happens from now on, or behind an event: events `batch`, at most five a second.

    queue, kind: once or more; without, all. name, id: of jobs. after: the id of an event or of a batch; the
    header Last-Event-ID goes before it. Raises UnknownQueue, InvalidInput, RedisUnavailable.
    """
    management.streams.check_room()
    chosen, _ = await _chosen(request, management, queue)
    given = last_event_id or after
    start = await _now(chosen) if not given else _start(chosen, given)

    async def new_queues() -> list[Queue]:
        return (await names_of(request.app, management).queues())[:MOST_QUEUES]

    feed = Feed(
        chosen,
        Wanted(frozenset(kind or ()), name, job_id),
        _names(request),
        start,
        payloads=actor.sees_payloads,
        stopping=management.streams.stopping,
        new_queues=None if queue else new_queues,
    )
    allowed = still_allowed(management.authenticate, request, Permission.WATCH)

    async def body() -> AsyncGenerator[bytes, None]:
        async with feed, aclosing(management.streams.run(feed.next_frame, allowed)) as frames:
            async for part in frames:
                yield part

    return EventStream(body())


@get("/events/recent", guards=[asks_for(Permission.WATCH)], tags=["events"])
async def recent_events(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    queue: Queues = None,
    kind: Kinds = None,
    name: FromQuery[str | None] = None,
    job_id: JobId = None,
    before: FromQuery[str | None] = None,
    count: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
) -> RecentEvents:
    """What Redis still has of what happened, newest first. Looks at some 2,000 events: go on with `before`.

    Two round trips for each queue, all at once, and one for names.
    """
    chosen, in_all = await _chosen(request, management, queue)
    wanted = Wanted(frozenset(kind or ()), name, job_id)
    cursor = None if before is None else Cursor.parse(before)
    names = _names(request)
    by_name = {one.name: one for one in chosen}
    async with answering(RECENT_SECONDS):
        start = await _now(chosen) if cursor is None else {}
        share = max(20, min(SCAN, SCAN // max(1, len(chosen))))
        parts = await asyncio.gather(*(_past(one, cursor, start.get(one.name), share) for one in chosen))
        entries, more = places.merge(parts)
        taken = [(by_name[at], make_event(entry)) for at, entry in entries]
        fitting = [(one, event) for one, event in taken if wanted.takes(event)]
        if name is None:
            fitting = fitting[: count + 1]
        for one, event in reversed(taken):
            names.learn(one.name, event)
        await names.look_up((one, event.job_id) for one, event in fitting)
    payloads = actor.sees_payloads
    rows: list[QueueEventRow] = []
    for one, event in fitting:
        known = names.of(one.name, event.job_id)
        if name in (None, known):
            if len(rows) == count:
                more = True
                break
            rows.append(event_row(one, event, known, payloads=payloads))
    last = None
    if more and len(rows) == count:
        last = Cursor(stream.parse(rows[-1].id) or stream.START, rows[-1].queue)
    elif more and entries:
        last = Cursor(entries[-1][1][0], entries[-1][0])
    return RecentEvents(
        events=rows,
        searched=len(entries),
        before=None if last is None else last.text(),
        after=places.encode(start) if cursor is None else None,
        queues=[one.name for one in chosen],
        queues_in_all=in_all,
        redacted=not payloads,
    )


async def _chosen(
    request: Request[Any, Any, Any], management: Management, names: list[str] | None
) -> tuple[list[Queue], int]:
    if names:
        return [management.queue(name) for name in dict.fromkeys(names[:MOST_QUEUES])], len(names)
    known = await known_queues(request, management)
    return known[:MOST_QUEUES], len(known)


async def _now(queues: list[Queue]) -> dict[str, Place]:
    """The end of each stream. One round trip for each, all at once."""
    async with answering():
        found = await asyncio.gather(*(stream.standing(one.client(), one.keys()) for one in queues))
    return {one.name: Place(last, added) for one, (last, added) in zip(queues, found, strict=True)}


def _start(queues: list[Queue], given: str) -> dict[str, Place]:
    known, everywhere = places.decode(given)
    if everywhere is not None:
        return {one.name: Place(everywhere) for one in queues}
    return known


async def _past(
    queue: Queue, cursor: Cursor | None, end: Place | None, count: int
) -> tuple[str, list[Entry], bool]:
    bound: Position | None = None
    if cursor is not None:
        bound = cursor.bound(queue.name)
    elif end is not None:
        bound = end.position
    if bound == stream.START:
        return queue.name, [], False
    entries = await stream.before(queue.client(), queue.keys(), bound, count)
    return queue.name, entries, len(entries) == count


def _names(request: Request[Any, Any, Any]) -> JobNames:
    state = request.app.state
    if state.get("job_names") is None:
        state.job_names = JobNames()
    names: JobNames = state.job_names
    return names


#: All of them, for `routes`.
EVENT_HANDLERS = [live_events, recent_events]
