"""GET /api/v1/live: a server-sent event stream that names what changed, so that pages read it anew.

Events: `hello` first, with the time and since when Redis is away (null: it answers); `changed` with topics
(see `live_digest`), at most one a second; `away` when Redis stops answering, `back` when it answers again. No
event holds anything of a job: pages ask for what they show as ever, with their session.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream

from corral.api import sse
from corral.api.auth import Permission
from corral.errors import InvalidInput
from corral.manage.live_ticker import Listener, Live, live_of
from corral.manage.service import Management, asks_for
from corral.manage.streaming import EventStream, still_allowed


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
    live.streams.check_room()
    allowed = still_allowed(management.authenticate, request, Permission.WATCH)

    async def events() -> AsyncGenerator[bytes, None]:
        with live.listening(job) as listener:
            telling = _Telling(live, listener)
            async with aclosing(live.streams.run(telling.next_frame, allowed)) as frames:
                async for frame in frames:
                    yield frame

    return EventStream(events())


class _Telling:
    """What one listener is told, in turn."""

    def __init__(self, live: Live, listener: Listener) -> None:
        self._live = live
        self._listener = listener
        self._away = live.away
        self._greeted = False

    async def next_frame(self) -> bytes | None:
        """Waits for something to tell, no longer than a heartbeat."""
        if not self._greeted:
            self._greeted = True
            return _event("hello", at=time.time(), away=self._away)
        topics = await self._listener.news(min(sse.HEARTBEAT_SECONDS, self._live.streams.recheck_seconds))
        events = []
        if self._live.away != self._away:
            away = self._away = self._live.away
            events.append(_event("back", at=time.time()) if away is None else _event("away", since=away))
        if topics:
            events.append(_event("changed", topics=topics))
        return b"".join(events) or None


def _event(name: str, **facts: Any) -> bytes:
    return sse.frame(name, msgspec.json.encode(facts))
