"""Streams of server-sent events of one process: how many there may be, when one is cut off, and when all end.

A stream asks anew now and then whether its reader may still listen, and ends if not: somebody who has signed
out gets nothing further. A reader that takes nothing for SLOW_SECONDS is cut off, and one more than there may
be is refused; a frame is made when it is taken, so that a slow one costs no memory.

Emits: log `stream_cut_off` (info; seconds).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, cast

import structlog
from litestar import Request
from litestar.response import Stream
from litestar.response.base import ASGIResponse
from litestar.types import Message, Receive, Scope, Send

from corral.api import sse
from corral.api.auth import Permission
from corral.api.problems import RETRY_AFTER_SECONDS, Problem, Refused
from corral.errors import RedisUnavailable

log = structlog.get_logger(__name__)

MOST_STREAMS = 60
RECHECK_SECONDS = 5.0

#: A write that waits for its reader longer than this ends the stream.
SLOW_SECONDS = 20.0


class Streams:
    """The open streams of one kind. `stopping` is set when the process shuts down."""

    def __init__(self, most: int = MOST_STREAMS, recheck_seconds: float = RECHECK_SECONDS) -> None:
        self.stopping = asyncio.Event()
        self.recheck_seconds = recheck_seconds
        self._most = most
        self._open: set[object] = set()

    def __len__(self) -> int:
        return len(self._open)

    def check_room(self) -> None:
        """Raise Refused (503) if no more may be opened."""
        if len(self._open) >= self._most:
            raise Refused(
                Problem(
                    503,
                    "too-many-streams",
                    "Too many event streams",
                    f"{self._most} streams are open. Close a page that listens, or try again.",
                    headers=(("Retry-After", str(RETRY_AFTER_SECONDS)),),
                )
            )

    async def run(
        self,
        next_frame: Callable[[], Awaitable[bytes | None]],
        may_listen: Callable[[], Awaitable[bool]],
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of one stream, until its reader may not listen any more or the process stops.

        next_frame: waits and returns what there is then; None: nothing. It must return soon after `stopping`
        is set, and at least as often as heartbeats and looks at the reader are due.
        """
        token = object()
        self._open.add(token)
        loop = asyncio.get_running_loop()
        checked = said = loop.time()
        try:
            yield sse.BEGINNING
            while not self.stopping.is_set():
                frame = await next_frame()
                if self.stopping.is_set():
                    return
                if loop.time() - checked >= self.recheck_seconds:
                    checked = loop.time()
                    if not await may_listen():
                        return
                if frame is None:
                    if loop.time() - said < sse.HEARTBEAT_SECONDS:
                        continue
                    frame = sse.HEARTBEAT
                said = loop.time()
                yield frame
        finally:
            self._open.discard(token)


class EventStream(Stream):
    """The answer that sends a stream. A slow reader ends it; its place is free at once, however it ends."""

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(events, media_type=sse.MEDIA_TYPE, headers=sse.HEADERS)
        self._events = events

    def to_asgi_response(self, *args: Any, **kwargs: Any) -> ASGIResponse:
        return cast("ASGIResponse", _Impatient(super().to_asgi_response(*args, **kwargs), self._events))


class _Impatient:
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
            log.info("stream_cut_off", seconds=SLOW_SECONDS)
        finally:
            await self._events.aclose()


class _TooSlow(Exception):
    pass


def still_allowed(
    authenticate: Callable[[Request[Any, Any, Any], Permission], Awaitable[object]],
    request: Request[Any, Any, Any],
    permission: Permission,
) -> Callable[[], Awaitable[bool]]:
    """Whether the caller of this request may still do what the permission says; yes while Redis is away."""

    async def ask() -> bool:
        try:
            await authenticate(request, permission)
        except Refused as refused:
            return refused.problem.status not in (401, 403)
        except RedisUnavailable:
            return True
        return True

    return ask
