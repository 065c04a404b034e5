"""PostHog's stand-in: batches and (no) feature flags; both want the project's key in the body."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import msgspec

from corral.sandbox import keys
from corral.sandbox.outbox import Outbox
from corral.sandbox.tracked import Tracked, refused
from corral.sandbox.wire import Malformed, Reply, Request

_REQUEST_BYTES = 20 * 2**20
_EVENT_BYTES = 900 * 2**10


class PosthogStandIn:
    """A project in memory."""

    provider = "posthog"

    def __init__(self, outbox: Outbox) -> None:
        self.tracked = Tracked(outbox, self.provider)

    def answer(self, request: Request) -> Reply:
        if request.path.rstrip("/") not in ("/batch", "/flags"):
            return _error(404, "invalid_request", "not_found", "Not found.")
        if request.method != "POST":
            return _error(
                405, "invalid_request", "method_not_allowed", f'Method "{request.method}" not allowed.'
            )
        if len(request.body) > _REQUEST_BYTES:
            return Reply(413, b"length limit exceeded", {"content-type": "text/plain"})
        try:
            body = request.json_object()
        except Malformed as error:
            return _error(400, "validation_error", "invalid_payload", str(error))
        key = body.get("api_key")
        if not key:
            return _error(401, "authentication_error", "missing_api_key", "Project API key not provided.")
        if key != keys.POSTHOG_API_KEY:
            return self.fault(401)
        if request.path.rstrip("/") == "/flags":
            return Reply(200, {"flags": {}, "errorsWhileComputingFlags": False})
        batch = body.get("batch")
        if not isinstance(batch, list) or not batch:
            return _error(400, "validation_error", "invalid_payload", "The batch has no events.")
        for event in batch:
            if wrong := _wrong(event):
                return _error(400, "validation_error", "invalid_payload", wrong)
        self.tracked.keep((event["uuid"], event["event"], event) for event in batch)
        return Reply(200, {"status": 1})

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                detail = "Project API key invalid. You can find it in your project settings."
                return _error(401, "authentication_error", "invalid_api_key", detail)
            case 429:
                reply = _error(429, "throttled_error", "throttled", "Request was throttled.")
                return Reply(429, reply.body, {"retry-after": "1"})
            case _:
                return _error(status, "server_error", "error", "A server error occurred.")


def _wrong(event: Any) -> str:
    """What PostHog would say about an event, or nothing. It quotes what it does not like."""
    if not isinstance(event, dict):
        return "An event is not an object."
    name = event.get("event")
    if not isinstance(name, str) or not name or refused(name):
        return f"Invalid event name: {name!r}."
    if not isinstance(event.get("distinct_id"), str) or not event["distinct_id"]:
        return f"Event {name!r} has no distinct_id."
    if not isinstance(event.get("properties"), dict):
        return f"Properties of {name!r} are not an object."
    if len(msgspec.json.encode(event)) > _EVENT_BYTES:
        return f"Event {name!r} is too large."
    try:
        uuid.UUID(event["uuid"])
        datetime.fromisoformat(event["timestamp"])
    except (KeyError, TypeError, ValueError):
        return f"Event {name!r} has no valid uuid or timestamp."
    return ""


def _error(status: int, kind: str, code: str, detail: str) -> Reply:
    return Reply(status, {"type": kind, "code": code, "detail": detail, "attr": None})
