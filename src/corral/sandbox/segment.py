"""Segment's stand-in: the batch endpoint, with the write key as user name of Basic authentication."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import msgspec

from corral.sandbox import keys
from corral.sandbox.outbox import Outbox
from corral.sandbox.tracked import Tracked, refused
from corral.sandbox.wire import Malformed, Reply, Request

_REQUEST_BYTES = 500_000
_MESSAGE_BYTES = 32_000


class SegmentStandIn:
    """A source in memory."""

    provider = "segment"

    def __init__(self, outbox: Outbox) -> None:
        self.tracked = Tracked(outbox, self.provider)

    def answer(self, request: Request) -> Reply:
        if (request.method, request.path) != ("POST", "/v1/batch"):
            return _error(404, "not found")
        pair = base64.b64encode(f"{keys.SEGMENT_WRITE_KEY}:".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return self.fault(401)
        if len(request.body) > _REQUEST_BYTES:
            return _error(400, "Exceeded payload limit")
        try:
            batch = request.json_object().get("batch")
        except Malformed:
            return _error(400, "malformed JSON")
        if not isinstance(batch, list) or not batch:
            return _error(400, "batch is empty")
        for message in batch:
            if wrong := _wrong(message):
                return _error(400, wrong)
        self.tracked.keep((message["messageId"], message["event"], message) for message in batch)
        return Reply(200, {"success": True})

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                return _error(401, "invalid write key")
            case 429:
                return Reply(429, {"success": False, "message": "too many requests"}, {"retry-after": "1"})
            case _:
                return _error(status, "internal error")


def _wrong(message: Any) -> str:
    """What Segment would say about a message, or nothing. It quotes what it does not like."""
    if not isinstance(message, dict) or message.get("type") != "track":
        return "unknown type"
    event = message.get("event")
    if not isinstance(event, str) or not event or refused(event):
        return f"invalid event: {event}"
    if not (message.get("userId") or message.get("anonymousId")):
        return "userId or anonymousId is required"
    if not isinstance(message.get("properties"), dict) or not message.get("messageId"):
        return f"malformed message: {event}"
    if len(msgspec.json.encode(message)) > _MESSAGE_BYTES:
        return f"message is too large: {event}"
    try:
        datetime.fromisoformat(message["timestamp"])
    except (KeyError, TypeError, ValueError):
        return f"invalid timestamp: {event}"
    return ""


def _error(status: int, message: str) -> Reply:
    return Reply(status, {"success": False, "message": message})
