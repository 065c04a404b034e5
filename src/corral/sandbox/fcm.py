"""FCM's stand-in: Google's token endpoint, and messages to one device each.

A token's beginning says what becomes of a message to it.

| token | answer |
|---|---|
| `dead…` | 404 UNREGISTERED |
| `other…` | 403 SENDER_ID_MISMATCH |
| `wrong…` | 400 INVALID_ARGUMENT about the token |
| `apple…` | 401 THIRD_PARTY_AUTH_ERROR |
| `quota…` | 429 QUOTA_EXCEEDED, with Retry-After |
| anything else | 200 |
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from typing import Any

import jwt

from corral.providers.service_account import GRANT
from corral.sandbox import accounts
from corral.sandbox.outbox import Outbox, masked
from corral.sandbox.wire import Malformed, Reply, Request, Route, find, urlencoded

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
TOKEN_SECONDS = 3599
MAX_BYTES = 4096

_FIELDS = frozenset({
    "token", "topic", "condition", "name", "data", "notification",
    "android", "webpush", "apns", "fcm_options",
})  # fmt: skip
_RESERVED = re.compile(r"from|message_type|(google|gcm)(\..*)?")
_SPECIAL = {
    "dead": (404, "NOT_FOUND", "UNREGISTERED", "Requested entity was not found."),
    "other": (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "SenderId mismatch"),
    "wrong": (
        400,
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
        "The registration token is not a valid FCM registration token",
    ),
    "apple": (401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", "Auth error from APNS or Web Push Service"),
    "quota": (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Sending quota exceeded."),
}


class _Refused(Exception):
    """A 400 about the request."""


class FcmStandIn:
    """FCM in memory."""

    provider = "fcm"

    def __init__(self, outbox: Outbox, clock: Callable[[], float] = time.time) -> None:
        self._outbox = outbox
        self._clock = clock
        self._granted: dict[str, float] = {}
        self._routes = [
            Route("POST", "/token", self._token),
            Route("POST", r"/v1/projects/([^/]+)/messages:send", self._send),
        ]

    def answer(self, request: Request) -> Any:
        found = find(self._routes, request)
        if found is None:
            return _error(404, "NOT_FOUND", "Requested entity was not found.")
        handle, match = found
        try:
            return handle(request, match)
        except (_Refused, Malformed) as error:
            return _error(400, "INVALID_ARGUMENT", str(error), "INVALID_ARGUMENT")

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
            case 429:
                return _special("quota")
            case _:
                return _error(status, "INTERNAL", "Internal error encountered.", "INTERNAL")

    def forget_tokens(self) -> None:
        """As if all access tokens had been revoked."""
        self._granted.clear()

    def _token(self, request: Request, _: re.Match[str]) -> Reply:
        try:
            fields = urlencoded(request)
        except Malformed as error:
            return Reply(400, {"error": "invalid_request", "error_description": str(error)})
        if fields.get("grant_type") != GRANT:
            return Reply(400, {"error": "unsupported_grant_type", "error_description": "Invalid grant_type"})
        try:
            claim = jwt.decode(
                fields.get("assertion", ""),
                accounts.rsa_key().public_key(),
                algorithms=["RS256"],
                audience=_audience(fields.get("assertion", "")),
                options={"require": ["iss", "aud", "iat", "exp"]},
                leeway=30,
            )
        except jwt.InvalidTokenError as error:
            return Reply(400, {"error": "invalid_grant", "error_description": f"Invalid JWT: {error}"})
        if claim["iss"] != accounts.CLIENT_EMAIL or not str(claim["aud"]).endswith("/fcm/token"):
            return Reply(400, {"error": "invalid_grant", "error_description": "Invalid issuer or audience"})
        if claim["exp"] - claim["iat"] > 3600:
            return Reply(400, {"error": "invalid_grant", "error_description": "The claim lasts too long"})
        if claim.get("scope") != SCOPE:
            return Reply(400, {"error": "invalid_scope", "error_description": "Invalid OAuth scope"})
        token = "ya29." + secrets.token_urlsafe(24)
        self._granted[token] = self._clock() + TOKEN_SECONDS
        self._outbox.record("fcm", "token")
        return Reply(200, {"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})

    def _send(self, request: Request, match: re.Match[str]) -> Reply:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._granted.get(bearer, 0.0) < self._clock():
            return self.fault(401)
        if match[1] != accounts.PROJECT:
            return _error(404, "NOT_FOUND", "Project not found.")
        body = request.json_object()
        message = body.get("message")
        if not isinstance(message, dict):
            raise _Refused("Invalid JSON payload received: message is missing")
        _check(message)
        if body.get("validate_only") is True:
            return Reply(200, {"name": f"projects/{match[1]}/messages/fake_message_id"})
        if "token" not in message:
            raise _Refused("The sandbox delivers to devices alone")
        token = str(message["token"])
        for beginning in _SPECIAL:
            if token.startswith(beginning):
                self._outbox.record("fcm", "refused", token=masked(token), why=_SPECIAL[beginning][2])
                return _special(beginning)
        name = f"projects/{match[1]}/messages/0:{secrets.randbelow(10**16):016d}"
        shown = message.get("notification", {})
        self._outbox.record(
            "fcm",
            "push",
            token=masked(token),
            title=shown.get("title", ""),
            body=shown.get("body", ""),
            data=message.get("data", {}),
            collapseKey=message.get("android", {}).get("collapse_key", ""),
        )
        return Reply(200, {"name": name})


def _check(message: dict[str, Any]) -> None:
    """What FCM refuses a message for."""
    unknown = set(message) - _FIELDS
    if unknown:
        raise _Refused(f"Invalid JSON payload received. Unknown name \"{min(unknown)}\" at 'message'")
    targets = [message[target] for target in ("token", "topic", "condition") if target in message]
    if len(targets) != 1 or not targets[0]:
        raise _Refused("Exactly one of token, topic or condition is required")
    data = message.get("data", {})
    for key, value in data.items():
        if not isinstance(value, str):
            raise _Refused(f"Invalid value at 'message.data[{key}]' (TYPE_STRING)")
        if _RESERVED.fullmatch(key):
            raise _Refused(f"Invalid data payload key: {key}")
    shown = message.get("notification", {})
    texts = [*data.keys(), *data.values(), str(shown.get("title", "")), str(shown.get("body", ""))]
    if sum(len(text.encode()) for text in texts) > MAX_BYTES:
        raise _Refused("Android message is too big")


def _audience(assertion: str) -> str:
    """Whatever it says: where this runs, only the caller knows."""
    try:
        return str(jwt.decode(assertion, options={"verify_signature": False}).get("aud", ""))
    except jwt.InvalidTokenError:
        return ""


def _special(beginning: str) -> Reply:
    status, word, code, text = _SPECIAL[beginning]
    return _error(status, word, text, code, {"retry-after": "1"} if status == 429 else None)


def _error(status: int, word: str, text: str, code: str = "", headers: dict[str, str] | None = None) -> Reply:
    error: dict[str, Any] = {"code": status, "message": text, "status": word}
    if code:
        kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
        error["details"] = [{"@type": kind, "errorCode": code}]
    return Reply(status, {"error": error}, headers or {})
