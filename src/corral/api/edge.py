"""What every answer of the service carries, and what is written down about every request.

Security headers (an API's set: nothing is cached, sniffed, framed or run), an X-Request-Id that is the
caller's own if it is a plain one, and no Server header. No CORS: browsers of other origins stay out.

Emits: log `http_request_refused` (info, 4xx; 499: the client left before its answer) and
`http_request_failed`
(error, 5xx) with request_id, method, route (the template, never the path: ids can be personal), status,
problem and seconds. Bodies, keys and query strings are in no log. Successful requests are counted in the
metrics, not logged.
"""

from __future__ import annotations

import itertools
import re
import secrets
import traceback
from collections.abc import Iterable
from time import perf_counter
from typing import Any

import structlog

from corral.api import sse
from corral.api.asgi import App, Message, Receive, Scope, Send
from corral.api.problems import INTERNAL, MEDIA_TYPE, Problem
from corral.api.traffic import Traffic

log = structlog.get_logger(__name__)

SECURITY_HEADERS: list[tuple[bytes, bytes]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
JSON_HEADERS = [(b"content-type", b"application/json"), *SECURITY_HEADERS]

#: What counts where a client left before it was answered: nobody failed. nginx's number for it.
CLIENT_GONE = 499

_EVENT_STREAM = sse.MEDIA_TYPE.encode()

_PLAIN_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
#: Ids of this process: a random part that no other process has, and a count.
_PROCESS = secrets.token_hex(6).encode()
_count = itertools.count(1)


def request_id(given: bytes | None) -> bytes:
    """The caller's X-Request-Id if it is plain text that can go into a log, else a new one."""
    if given is not None and _PLAIN_ID.fullmatch(given):
        return given
    return b"%b-%x" % (_PROCESS, next(_count))


def problem_answer(problem: Problem, rid: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of a problem as the whole answer."""
    body = problem.to_json()
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        *SECURITY_HEADERS,
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", rid),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers),
    ]
    return headers, body


def write_down(rid: bytes, method: str, route: str, status: int, seconds: float, problem: str | None) -> None:
    """Log a request that did not succeed."""
    facts: dict[str, Any] = {
        "request_id": rid.decode(),
        "method": method,
        "route": route,
        "status": status,
        "seconds": round(seconds, 6),
    }
    if problem is not None:
        facts["problem"] = problem
    if status >= 500:
        log.error("http_request_failed", **facts)
    else:
        log.info("http_request_refused", **facts)


def write_down_crash(rid: str, error: BaseException) -> None:
    """Log an error that nobody expected: its class and place. Its text may quote data, so it stays out."""
    place = traceback.extract_tb(error.__traceback__)[-6:]
    log.error(
        "http_request_crashed",
        request_id=rid,
        error=type(error).__qualname__,
        trace=[f"{frame.name} ({frame.filename.rpartition('/')[2]}:{frame.lineno})" for frame in place],
    )


class Edge:
    """Wraps the Litestar application: headers on the way out, the request counted and written down.

    headers: what each answer carries that does not say otherwise itself.
    """

    def __init__(
        self, app: App, traffic: Traffic, headers: list[tuple[bytes, bytes]] = SECURITY_HEADERS
    ) -> None:
        self._app = app
        self._traffic = traffic
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        rid = request_id(header(scope, b"x-request-id"))
        scope["state"]["request_id"] = rid.decode()
        status, gone = 500, False
        stream: str | None = None  # its route

        async def receive_on() -> Message:
            nonlocal gone
            message = await receive()
            gone = gone or message["type"] == "http.disconnect"
            return message

        async def send_on(message: Message) -> None:
            nonlocal status, stream
            if message["type"] == "http.response.start":
                status = message["status"]
                said = {name.lower() for name, _ in message["headers"]}
                ours = [header for header in self._headers if header[0] not in said]
                if _is_event_stream(message["headers"]):
                    stream = route_label(scope)
                    self._traffic.begin_stream(scope["method"], stream, status)
                message["headers"] = [*message["headers"], *ours, (b"x-request-id", rid)]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=rid.decode()):
            try:
                await self._app(scope, receive_on, send_on)
            finally:
                seconds = perf_counter() - started
                if gone and status == 500 and scope["state"].get("problem") != INTERNAL.slug:
                    # Litestar makes an error of its own of a request that ends in the middle.
                    status, scope["state"]["problem"] = CLIENT_GONE, "client-gone"
                route = route_label(scope)
                if stream is None:
                    self._traffic.observe(scope["method"], route, status, seconds)
                else:
                    self._traffic.end_stream(stream)
                if status >= 400:
                    write_down(rid, scope["method"], route, status, seconds, scope["state"].get("problem"))


def _is_event_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(_EVENT_STREAM) for name, value in headers)


def route_label(scope: Scope) -> str:
    """The template of the route that Litestar chose; paths that nobody serves share one label."""
    return str(scope.get("path_template") or "unmatched")


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of this name."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None
