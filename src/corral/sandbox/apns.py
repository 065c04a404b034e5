"""APNs's stand-in, over HTTP/1.1: messages to one device each.

A token's beginning says what becomes of a message to it: `dead` is 410 Unregistered, `bad` 400
BadDeviceToken (zeros, too), `busy` 429 TooManyRequests. Beside that, what Apple checks is checked: the
provider token with its age and signature, topic, push type, priority, ids, size.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import jwt

from corral.sandbox import keys
from corral.sandbox.accounts import signing_key
from corral.sandbox.outbox import Outbox, masked
from corral.sandbox.wire import Malformed, Reply, Request

MAX_BYTES = 4096
MAX_AGE = 3600.0

_PATH = re.compile(r"/3/device/([0-9A-Za-z]{1,200})")
_TYPES = frozenset({"alert", "background", "voip", "complication", "fileprovider", "mdm", "liveactivity"})


class ApnsStandIn:
    """APNs in memory."""

    provider = "apns"

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def answer(self, request: Request) -> Reply:
        match = _PATH.fullmatch(request.path)
        if match is None:
            return _error(404, "BadPath")
        if request.method != "POST":
            return _error(405, "MethodNotAllowed")
        reason = _unproven(request.headers.get("authorization", ""))
        if reason:
            return _error(403, reason)
        reason = _malformed(request)
        if reason:
            return _error(413 if reason == "PayloadTooLarge" else 400, reason)
        token = match[1]
        for beginning, status, why in (
            ("dead", 410, "Unregistered"),
            ("bad", 400, "BadDeviceToken"),
            ("busy", 429, "TooManyRequests"),
            ("0" * 64, 400, "BadDeviceToken"),
        ):
            if token.startswith(beginning):
                self._outbox.record("apns", "refused", token=masked(token), why=why)
                return _error(status, why)
        body = request.json_object()
        alert = body["aps"]["alert"]
        self._outbox.record(
            "apns",
            "push",
            token=masked(token),
            title=alert.get("title", ""),
            body=alert.get("body", ""),
            data={key: value for key, value in body.items() if key != "aps"},
            collapseKey=request.headers.get("apns-collapse-id", ""),
        )
        return Reply(200, None, {"apns-id": request.headers.get("apns-id", str(uuid.uuid4()))})

    def fault(self, status: int) -> Reply:
        match status:
            case 401 | 403:
                return _error(403, "InvalidProviderToken")
            case 429:
                return _error(429, "TooManyRequests")
            case _:
                return _error(status, "InternalServerError")


def _unproven(authorization: str) -> str:
    """Why the provider token does not do, or ''."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        return "MissingProviderToken"
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        claim = jwt.decode(
            token,
            signing_key(keys.APNS_PHRASE).public_key(),
            algorithms=["ES256"],
            options={"verify_iat": False},
        )
    except jwt.InvalidTokenError:
        return "InvalidProviderToken"
    if kid != keys.APNS_KEY_ID or claim.get("iss") != keys.APNS_TEAM_ID:
        return "InvalidProviderToken"
    age = time.time() - float(claim.get("iat", 0))
    return "" if -60 <= age <= MAX_AGE else "ExpiredProviderToken"


def _malformed(request: Request) -> str:
    """What Apple would refuse the request for, or ''."""
    headers = request.headers
    if headers.get("apns-topic") != keys.APNS_TOPIC:
        return "BadTopic" if headers.get("apns-topic") else "MissingTopic"
    if headers.get("apns-push-type") not in _TYPES:
        return "InvalidPushType"
    if headers.get("apns-priority", "10") not in ("10", "5", "1"):
        return "BadPriority"
    if len(headers.get("apns-collapse-id", "")) > 64:
        return "BadCollapseId"
    try:
        uuid.UUID(headers.get("apns-id", str(uuid.uuid4())))
    except ValueError:
        return "BadMessageId"
    if len(request.body) > MAX_BYTES:
        return "PayloadTooLarge"
    try:
        body: Any = request.json_object()
    except Malformed:
        return "PayloadEmpty"
    aps = body.get("aps")
    return "" if isinstance(aps, dict) and isinstance(aps.get("alert"), dict) else "PayloadEmpty"


def _error(status: int, reason: str) -> Reply:
    return Reply(status, {"reason": reason})
