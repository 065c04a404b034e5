"""Reading a request's body: at most MAX_BODY_BYTES, announced or not, within BODY_SECONDS.

The common case, a small body that came with its headers, is one `receive` and two comparisons. Bodies that
arrive in pieces share a budget of memory, so that many slow and large ones cannot fill it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from corral.api.asgi import Receive
from corral.api.problems import RETRY_AFTER_SECONDS, Problem, Refused

#: The largest job that BullMQ's scripts carry comfortably; larger data belongs in an object store.
MAX_BODY_BYTES = 1_048_576
#: For the whole body to arrive; a slow mobile link sends 1 MiB in less.
BODY_SECONDS = 30.0
#: Memory for bodies that are still arriving, over all requests.
BUDGET_BYTES = 256 * 1_048_576
#: A body over the limit is read on and thrown away up to here, so that its sender lives to see the answer:
#: a connection closed in the middle of an upload shows many clients a reset instead.
DRAIN_BYTES = 16 * 1_048_576
DRAIN_SECONDS = 2.0

_TOO_LARGE = Problem(
    413,
    "body-too-large",
    "The body is too large",
    f"A request may have {MAX_BODY_BYTES:,} bytes. Store large data elsewhere and pass a reference.",
    headers=(("Connection", "close"),),
)
_TOO_SLOW = Problem(
    408,
    "body-too-slow",
    "The body did not arrive",
    f"The body must arrive within {BODY_SECONDS:g} s.",
    headers=(("Connection", "close"),),
)
_BUSY = Problem(
    503,
    "too-many-uploads",
    "Too many uploads at once",
    "The service is taking in as many large bodies as it has memory for. Try again.",
    headers=(("Retry-After", str(RETRY_AFTER_SECONDS)),),
)
_NOT_JSON = Problem(
    415,
    "unsupported-media-type",
    "Not JSON",
    "Send JSON in UTF-8, uncompressed, with `Content-Type: application/json`.",
    headers=(("Accept", "application/json"),),
)


class CallerLeft(Exception):  # steers the flow inside this package; nobody is told of it
    """The connection ended before the body did. There is nobody to answer."""


def check_media_type(headers: Mapping[bytes, bytes]) -> None:
    """Raise Refused(415) for a body that says it is something else than plain JSON. Silence is JSON."""
    declared = headers.get(b"content-type", b"application/json")
    if declared != b"application/json":
        kind, _, parameters = declared.lower().partition(b";")
        kind = kind.strip()
        plain = parameters.replace(b" ", b"").replace(b'"', b"") in (b"", b"charset=utf-8", b"charset=utf8")
        if not plain or not (kind == b"application/json" or kind.endswith(b"+json")):
            raise Refused(_NOT_JSON)
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise Refused(_NOT_JSON)


class BodyReader:
    """Reads bodies for one service."""

    def __init__(self) -> None:
        self._held = 0

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The whole body. Raises Refused (413, 408, 503) and CallerLeft."""
        announced = headers.get(b"content-length")
        if announced is not None and _number(announced) > MAX_BODY_BYTES:
            await self._drain(headers, receive)
            raise Refused(_TOO_LARGE)
        message = await receive()
        if message["type"] != "http.request":
            raise CallerLeft
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            return await self._gather(body, headers, receive)
        if len(body) > MAX_BODY_BYTES:
            raise Refused(_TOO_LARGE)
        return body

    async def _gather(self, first: bytes, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        if self._held + MAX_BODY_BYTES > BUDGET_BYTES:
            raise Refused(_BUSY)
        self._held += MAX_BODY_BYTES
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = bytearray(first)
                more = True
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise CallerLeft
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > MAX_BODY_BYTES:
                        if more:
                            await self._drain(headers, receive)
                        raise Refused(_TOO_LARGE)
                return bytes(body)
        except TimeoutError:
            raise Refused(_TOO_SLOW) from None
        finally:
            self._held -= MAX_BODY_BYTES

    async def _drain(self, headers: Mapping[bytes, bytes], receive: Receive) -> None:
        if b"expect" in headers:
            return  # the caller waits for leave to send; reading would give it
        left = DRAIN_BYTES
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while left > 0:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise CallerLeft
                    if not message.get("more_body", False):
                        return
                    left -= len(message.get("body", b""))
        except TimeoutError:
            return


def _number(announced: bytes) -> int:
    try:
        return int(announced)
    except ValueError:
        return MAX_BODY_BYTES + 1
