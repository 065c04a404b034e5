"""uvicorn's HTTP protocol with a short way for adding jobs: no ASGI between the parser and the enqueue layer.

A POST to a route of the enqueue layer whose body arrives together with its headers is handed over as it is,
and its answer leaves as one piece. Everything else, a body in pieces, a pipelined request, `Expect`, another
method, goes uvicorn's way, through ASGI; both ways end in the same layer and give the same answers.

The way through ASGI costs 20 µs a request more, of 74: two messages in, two out, a cycle object with an
event, each header checked anew, head and body in two packets (measured: docs/benchmarks.md).
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from corral.api.enqueue import EnqueueLayer, Reply, Route

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

#: A larger body is read by the layer itself, which bounds what all callers together may send.
MAX_QUICK_BODY = 65_536

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class _Unheard:
    """The event of a cycle that nobody waits for."""

    def set(self) -> None:
        """Nothing."""


_UNHEARD = _Unheard()


class _Turn:
    """What uvicorn needs to know about the request that a connection is answering the short way."""

    __slots__ = ("body", "disconnected", "keep_alive", "message_event", "response_complete", "route")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.body = b""
        self.response_complete = False
        self.keep_alive = True  # uvicorn's shutdown says False
        self.disconnected = False
        self.message_event = _UNHEARD


class EnqueueProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], **more: Any
    ) -> None:
        super().__init__(config, server_state, app_state, **more)
        layer = config.app
        assert isinstance(layer, EnqueueLayer)  # noqa: S101  # ApiServer serves nothing else
        self._layer = layer
        self._turn: _Turn | None = None  # a request whose body has not arrived yet
        self._heads: tuple[list[tuple[bytes, bytes]], bytes] = ([], b"")
        self._idle_since = 0.0

    # What the parser finds

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        route = self._short_route()
        if route is None:
            self._long_way()
        else:
            self._turn = _Turn(route)

    def on_body(self, body: bytes) -> None:
        if self._turn is None:
            super().on_body(body)
        else:
            self._turn.body += body

    def on_message_complete(self) -> None:
        turn = self._turn
        if turn is None:
            super().on_message_complete()
            return
        self._turn = None
        self.cycle = turn  # type: ignore[assignment]  # all that uvicorn asks of a cycle from outside
        task = self.loop.create_task(self._answer(turn, dict(self.headers)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def data_received(self, data: bytes) -> None:
        self._idle_since = self.loop.time()
        super().data_received(data)
        turn = self._turn
        if turn is not None:  # the body comes in pieces
            self._turn = None
            if self.transport.is_closing():
                return
            self._long_way()
            if turn.body:
                super().on_body(turn.body)

    def _short_route(self) -> Route | None:
        """The route, if this request can go the short way."""
        route = self._layer.declared_route(self.url)
        if (
            route is None
            or self.parser.get_method() != b"POST"
            or self.parser.get_http_version() != "1.1"
            or not self.parser.should_keep_alive()
            or self.parser.should_upgrade()
            or self.expect_100_continue
            or self.flow.write_paused
            or not (self.cycle is None or self.cycle.response_complete)
            or not _is_small(self.headers)
        ):
            return None
        return route

    def _long_way(self) -> None:
        url, headers, expected = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expected
        self.headers += headers  # the scope holds this list
        super().on_headers_complete()

    # Answering

    async def _answer(self, turn: _Turn, headers: dict[bytes, bytes]) -> None:
        reply = await self._layer.reply(turn.route, "POST", headers, turn.body)
        turn.response_complete = True
        if not self.transport.is_closing():
            self.transport.write(self._encode(reply, keep_alive=turn.keep_alive))
            if not turn.keep_alive or reply.closes:
                self.transport.close()
        self.on_response_complete()

    def _encode(self, reply: Reply, *, keep_alive: bool) -> bytes:
        parts = [_STATUS_LINES[reply.status], self._date()]
        for name, value in reply.headers:
            parts += (name, b": ", value, b"\r\n")
        if not keep_alive:
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", reply.body)
        return b"".join(parts)

    def _date(self) -> bytes:
        """uvicorn's own headers; it makes a new list of them every second."""
        current, text = self._heads
        newest = self.server_state.default_headers
        if newest is not current:
            text = b"".join(b"%b: %b\r\n" % header for header in newest)
            self._heads = newest, text
        return text

    # Idle connections: one timer a connection that looks how long nothing came, instead of one a request

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._look_again_in(self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    def timeout_keep_alive_handler(self) -> None:
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if self.cycle is not None and not self.cycle.response_complete:
            left = self.timeout_keep_alive
        if left > 0:
            self._look_again_in(left)
        else:
            super().timeout_keep_alive_handler()

    def _look_again_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        """Nothing: the timer looks for itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        super()._unset_keepalive_if_required()


def _is_small(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a body is announced that fits the short way."""
    for name, value in headers:
        if name == b"content-length":
            return len(value) <= 6 and value.isdigit() and int(value) <= MAX_QUICK_BODY
    return False
