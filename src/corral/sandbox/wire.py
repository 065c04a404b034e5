"""The sandbox's HTTP: a request read whole, a reply, routes, multipart forms. Just enough, and strict.

Limits: bodies are held in memory, at most 32 MiB.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Bytes. Above iDenfy's 20 MB a request with its base64.
MAX_BODY = 32 * 1024 * 1024


class Malformed(ValueError):
    """The request's body is not of the form that its Content-Type says."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request. `path` is decoded and without the provider's base; header names are lowercase."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes

    def param(self, name: str) -> str | None:
        """The first query value of this name."""
        return next((v for k, v in self.query if k == name), None)

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The JSON body. Raises Malformed for another type or broken JSON."""
        if self.media_type != "application/json":
            raise Malformed(f"Content-Type is {self.media_type or 'missing'}, not application/json")
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("the body is not JSON") from None

    def json_object(self) -> dict[str, Any]:
        """The JSON body, which must be an object."""
        value = self.json()
        if not isinstance(value, dict):
            raise Malformed("the body is not a JSON object")
        return value


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart form. `filename` is None for a plain field."""

    content: bytes
    filename: str | None = None
    media_type: str = ""

    @property
    def text(self) -> str:
        """The field's value."""
        return self.content.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `body` is bytes as they are, or a value that becomes JSON; None is an empty body."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[dict[str, str], bytes]:
        """Headers and bytes to send."""
        headers = dict(self.headers)
        if self.body is None:
            content = b""
        elif isinstance(self.body, bytes):
            content = self.body
        else:
            content = msgspec.json.encode(self.body)
            headers.setdefault("content-type", "application/json")
        headers["content-length"] = str(len(content))
        return headers, content


Handle = Callable[[Request, re.Match[str]], Reply | Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path pattern (a regular expression of the whole path) with what answers it."""

    method: str
    pattern: str
    handle: Handle


def find(routes: list[Route], request: Request) -> tuple[Handle, re.Match[str]] | None:
    """The route of a request."""
    for route in routes:
        if route.method == request.method and (match := re.fullmatch(route.pattern, request.path)):
            return route.handle, match
    return None


async def read(scope: Scope, receive: Receive) -> Request:
    """Read a request whole. Raises Malformed when its body is too large."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Malformed("the client went away")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            raise Malformed("the body is too large")
    return Request(
        method=scope["method"],
        path=unquote(scope["raw_path"].decode("latin-1").partition("?")[0]),
        query=tuple(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        headers={k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]},
        body=bytes(body),
    )


async def send(reply: Reply, send: Send) -> None:
    """Send an answer."""
    headers, content = reply.encoded()
    await send({"type": "http.response.start", "status": reply.status, "headers": raw_headers(headers)})
    await send({"type": "http.response.body", "body": content})


def raw_headers(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them."""
    return [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]


def form(request: Request) -> dict[str, Part]:
    """The parts of a multipart form by name, the last of each. Raises Malformed."""
    return dict(parts(request))


def parts(request: Request) -> list[tuple[str, Part]]:
    """The parts of a multipart form in their order; a name may come more than once. Raises Malformed."""
    if request.media_type != "multipart/form-data":
        raise Malformed(f"Content-Type is {request.media_type or 'missing'}, not multipart/form-data")
    boundary = _parameter(request.headers["content-type"], "boundary")
    if not boundary:
        raise Malformed("the multipart boundary is missing")
    delimiter = b"\r\n--" + boundary.encode("latin-1")
    # A line break in front, so that the first delimiter looks like all others.
    pieces = (b"\r\n" + request.body).split(delimiter)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise Malformed("the multipart body is cut off")
    found_parts = []
    for piece in pieces[1:-1]:
        head, found, content = piece.partition(b"\r\n\r\n")
        headers = dict(_header(line) for line in head.decode("utf-8", "replace").split("\r\n") if ":" in line)
        disposition = headers.get("content-disposition", "")
        name = _parameter(disposition, "name")
        if not found or name is None:
            raise Malformed("a multipart part has no name")
        part = Part(content, _parameter(disposition, "filename"), headers.get("content-type", ""))
        found_parts.append((name, part))
    return found_parts


def urlencoded(request: Request) -> dict[str, str]:
    """The fields of a plain form, the last of each. Raises Malformed."""
    if request.media_type != "application/x-www-form-urlencoded":
        raise Malformed(
            f"Content-Type is {request.media_type or 'missing'}, not application/x-www-form-urlencoded"
        )
    return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def _parameter(value: str, name: str) -> str | None:
    match = re.search(rf'[;\s]{name}="?([^";]*)"?', value)
    return match[1] if match else None
