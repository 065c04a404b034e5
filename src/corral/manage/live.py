"""GET /api/v1/live: a server-sent event stream that names what changed, so that pages read it anew.

Events: `hello` first, with the time and since when Redis is away (null: it answers); `changed` with topics
(see `live_digest`), at most one a second; `away` when Redis stops answering, `back` when it answers again. No
event holds anything of a job: pages ask for what they show as ever, with their session.

The session is looked at every SESSION_SECONDS; a stream whose session is over ends, as all do when the
service stops. A reader that takes nothing for SLOW_SECONDS is cut off.

Emits: live_reader_cut (info).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Annotated, Any, cast

import msgspec
import structlog
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream
from litestar.response.base import ASGIResponse
from litestar.types import Message, Receive, Scope, Send

from corral.api import sse
from corral.api.auth import Permission
from corral.api.problems import RETRY_AFTER_SECONDS, Problem, Refused
from corral.errors import InvalidInput, RedisUnavailable
from corral.manage.live_ticker import MOST_LISTENERS, Live, live_of
from corral.manage.service import Management, asks_for

log = structlog.get_logger(__name__)

#: How often a stream's session is looked at.
SESSION_SECONDS = 60.0

#: A write that waits for its reader longer than this ends the stream.
SLOW_SECONDS = 30.0

_TOO_MANY = Problem(
    503,
    "too-many-streams",
    "Too many live streams",
    f"{MOST_LISTENERS} pages listen to this process. The page asks by itself meanwhile.",
    headers=(("Retry-After", str(RETRY_AFTER_SECONDS)),),
)


class _Impatient:
    """An answer that gives up on a reader that takes nothing."""

    def __init__(self, answer: ASGIResponse, events: AsyncGenerator[bytes, None]) -> None:
        self._answer = answer
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(SLOW_SECONDS):
                    await send(message)
            except TimeoutError:
                raise _TooSlow from None

        try:
            await self._answer(scope, receive, send_in_time)
        except* _TooSlow:
            log.info("live_reader_cut")
        finally:
            await self._events.aclose()  # its listener goes with it


class _TooSlow(Exception):
    pass


class _LiveStream(Stream):
    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(events, media_type=sse.MEDIA_TYPE, headers=sse.HEADERS)
        self._events = events

    def to_asgi_response(self, *args: Any, **kwargs: Any) -> ASGIResponse:
        return cast("ASGIResponse", _Impatient(super().to_asgi_response(*args, **kwargs), self._events))


@get("/live", guards=[asks_for(Permission.WATCH)], tags=["live"], media_type=sse.MEDIA_TYPE)
async def read_live(
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    job: Annotated[str | None, QueryParameter()] = None,
) -> Stream:
    """What changes, as it does: a stream of server-sent events, until the caller leaves.

    job: `queue/id` of a job to watch, too. 503 when too many listen.
    """
    if job is not None:
        queue, _, job_id = job.partition("/")
        if not job_id:
            raise InvalidInput("job is a queue and an id with a slash between them, as email/12.")
        management.queue(queue)
    live = live_of(request.app, management)
    if live.is_full:
        raise Refused(_TOO_MANY)
    return _LiveStream(_stream(request, management, live, job))


async def _stream(
    request: Request[Any, Any, Any], management: Management, live: Live, job: str | None
) -> AsyncGenerator[bytes, None]:
    looked = time.monotonic()
    with live.listening(job) as listener:
        away = live.away
        yield sse.BEGINNING + _event("hello", at=time.time(), away=away)
        while True:
            topics = await listener.news(min(sse.HEARTBEAT_SECONDS, SESSION_SECONDS))
            if time.monotonic() - looked >= SESSION_SECONDS:
                looked = time.monotonic()
                if not await _may_still(request, management):
                    return
            if live.ended:
                return
            events = []
            if live.away != away:
                away = live.away
                events.append(_event("back", at=time.time()) if away is None else _event("away", since=away))
            if topics:
                events.append(_event("changed", topics=topics))
            yield b"".join(events) or sse.HEARTBEAT


async def _may_still(request: Request[Any, Any, Any], management: Management) -> bool:
    try:
        await management.authenticate(request, Permission.WATCH)
    except (Refused, RedisUnavailable):  # the latter only after a long while without Redis: see `signing_in`
        return False
    return True


def _event(name: str, **facts: Any) -> bytes:
    return sse.frame(name, msgspec.json.encode(facts))
