"""Live events over HTTP, as server-sent events.

`GET /v1/queues/{queue}/jobs/{id}/events` sends the job as it stands (event `status`, the members of
/v1/queues/{queue}/jobs/{id}), then each of its events, and ends with the job. `GET /v1/queues/{queue}/events`
sends all events of a queue until the caller leaves. Each event's id is its place in the stream: a caller that
comes back with it as Last-Event-ID gets what it missed, as far as Redis has it (about 10,000 events a queue);
where some may be missing, an event `gap` says so. A job that has ended and has nothing new answers 204, which
tells a browser not to come back.

A comment every HEARTBEAT_SECONDS keeps proxies from closing a quiet stream. At most MAX_STREAMS are open at
once, the next gets 503; all end when the service stops. All streams of a queue share one connection to Redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter
from litestar.response import Stream

from corral.api.auth import Permission
from corral.api.jobs import FINISHED, find_one, moment, not_found, view
from corral.api.lookup import Found, answering
from corral.api.problems import RETRY_AFTER_SECONDS, Problem, Refused
from corral.api.service import Service, permits
from corral.api.sse import BEGINNING, HEADERS, HEARTBEAT, HEARTBEAT_SECONDS, MEDIA_TYPE, frame
from corral.bullmq import stream
from corral.bullmq.stream import Position
from corral.data import decode_json
from corral.errors import InvalidData, InvalidInput, RedisUnavailable
from corral.events import GAP, Event, make_event
from corral.queue import Queue
from corral.sealing import Kind

#: Every stream looks at each event of its queue; this many cost a busy queue a part of a core.
MAX_STREAMS = 200

#: What ends a job's stream.
ENDS = frozenset({"completed", "failed", "removed"})

#: Fields of BullMQ's events that hold JSON, and what they are called elsewhere in this API.
_JSON = {"returnvalue": "result", "data": "progress"}

LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID")]

_TOO_MANY = Problem(
    503,
    "too-many-streams",
    "Too many event streams",
    f"{MAX_STREAMS} streams are open. Try again, or ask for the job with ?wait=.",
    headers=(("Retry-After", str(RETRY_AFTER_SECONDS)),),
)


@get("/v1/queues/{queue:str}/jobs/{job_id:str}/events", guards=[permits(Permission.READ_JOBS)])
async def job_events(
    service: NamedDependency[Service],
    queue: FromPath[str],
    job_id: FromPath[str],
    last_event_id: LastEventId = None,
) -> Response[Any]:
    """What happens to a job, until it ends. Raises JobNotFound, InvalidInput, RedisUnavailable."""
    asked = service.known.named(queue)
    since = _position(last_event_id)
    _check_room(service)
    # The stream's end is taken before the job is looked at, so that nothing lies between both.
    end = await _end(asked)
    found = await find_one(service, asked, job_id)
    missed = [] if since is None else await _missed(asked, job_id, since, end)
    if not missed and since is not None and (found is None or found.status in FINISHED):
        return Response(None, status_code=204)
    if found is None and not missed:
        raise not_found(queue, job_id)
    return Stream(
        _job_stream(service, asked, job_id, found, missed, end), media_type=MEDIA_TYPE, headers=HEADERS
    )


@get("/v1/queues/{queue:str}/events", guards=[permits(Permission.READ_JOBS)])
async def queue_events(
    service: NamedDependency[Service], queue: FromPath[str], last_event_id: LastEventId = None
) -> Stream:
    """What happens in a queue. Raises InvalidInput, RedisUnavailable."""
    asked = service.known.named(queue)
    since = _position(last_event_id)
    _check_room(service)
    after = await _end(asked) if since is None else since
    return Stream(_queue_stream(service, asked, after), media_type=MEDIA_TYPE, headers=HEADERS)


def _position(last_event_id: str | None) -> Position | None:
    if last_event_id is None or not last_event_id.strip():
        return None
    position = stream.parse(last_event_id.strip())
    if position is None:
        raise InvalidInput("Last-Event-ID is no id of an event of this service. Leave it out to begin anew.")
    return position


def _check_room(service: Service) -> None:
    if len(service.streams) >= MAX_STREAMS:
        raise Refused(_TOO_MANY)


async def _end(queue: Queue) -> Position:
    async with answering():
        return (await stream.ends(queue.client(), queue.keys())).last


async def _missed(queue: Queue, job_id: str, since: Position, end: Position) -> list[Event]:
    """The job's events after one position and up to another, as far as the stream holds them."""
    missed = []
    async with answering():
        while since < end:
            _, entries = await stream.look(queue.client(), queue.keys(), since)
            if not entries:
                break
            missed += [make_event(e) for e in entries if e[0] <= end and e[1].get("jobId") == job_id]
            since = entries[-1][0]
    return missed


async def _job_stream(
    service: Service, queue: Queue, job_id: str, found: Found | None, missed: list[Event], end: Position
) -> AsyncIterator[bytes]:
    yield BEGINNING
    for past in missed:
        yield _event(queue, past)
    if found is None:
        return
    yield _status(found, end)
    if found.status in FINISHED:
        return
    async with aclosing(_live(service, queue, end)) as events:
        async for event in events:
            if event is None:
                yield HEARTBEAT
            elif event.job_id == job_id:
                yield _event(queue, event)
                if event.name in ENDS:
                    return
            elif event.name == GAP:
                yield _event(queue, event)
                now = await _look_again(service, queue, job_id)
                if now is not None:
                    yield _status(now, stream.parse(event.id) or end)
                if now is None or now.status in FINISHED:
                    return


async def _look_again(service: Service, queue: Queue, job_id: str) -> Found | None:
    """The job after a gap, in which it may have ended; None ends the stream: the caller comes back."""
    try:
        return await find_one(service, queue, job_id)
    except RedisUnavailable:
        return None


async def _queue_stream(service: Service, queue: Queue, after: Position) -> AsyncIterator[bytes]:
    yield BEGINNING
    async with aclosing(_live(service, queue, after)) as events:
        async for event in events:
            yield HEARTBEAT if event is None else _event(queue, event)


async def _live(service: Service, queue: Queue, after: Position) -> AsyncGenerator[Event | None, None]:
    """Events as they come, None when it is time for a sign of life; ends when the service stops."""
    token = object()
    service.streams.add(token)
    stopping = asyncio.create_task(service.stopping.wait())
    try:
        async with aclosing(queue.events(stream.text(after))) as events:
            upcoming: asyncio.Task[Event] | None = None
            try:
                while not stopping.done():
                    upcoming = upcoming or asyncio.create_task(_next(events))
                    await asyncio.wait(
                        (upcoming, stopping), timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                    if not upcoming.done():
                        yield None
                        continue
                    try:
                        event = upcoming.result()
                    except (StopAsyncIteration, RedisUnavailable):
                        return  # the queue was closed, or Redis left: the caller comes back by itself
                    upcoming = None
                    yield event
            finally:
                if upcoming is not None:
                    upcoming.cancel()
                    await asyncio.gather(upcoming, return_exceptions=True)
    finally:
        stopping.cancel()
        service.streams.discard(token)


async def _next(events: AsyncGenerator[Event, None]) -> Event:
    return await anext(events)


def _event(queue: Queue, event: Event) -> bytes:
    body: dict[str, Any] = {"queue": queue.name, "at": moment(event.at)}
    if event.job_id is not None:
        body["jobId"] = event.job_id
    for name, value in event.fields.items():
        if name in _JSON:
            body[_JSON[name]] = _json_or_text(opened(queue, event, name))
        else:
            body.setdefault(name, value)
    return frame(event.name, msgspec.json.encode(body), event.id)


def opened(queue: Queue, event: Event, field: str) -> str:
    """A field of an event as it was before it was sealed, if it was."""
    value = event.fields[field]
    if field not in _JSON:
        return value
    kind: Kind = "result" if field == "returnvalue" else "progress"
    return queue.sealing.show(kind, event.job_id or "", value.encode()).decode(errors="replace")


def _status(found: Found, position: Position) -> bytes:
    return frame("status", msgspec.json.encode(view(found)), stream.text(position))


def _json_or_text(value: str) -> Any:
    try:
        decode_json(value.encode())
    except InvalidData:
        return value
    return msgspec.Raw(value.encode())
