"""A push service for browsers, at https://push.example.com/<id>, and the browser behind it.

It checks the VAPID proof and decrypts as the browser would. An id that begins with `dead` is 410, `late` 429.
All its browsers have one key, which is public: `subscription` makes what a browser would give the page.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

import http_ece  # type: ignore[import-untyped]  # it has no types
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from corral.providers.signing_key import from_base64url, public_point, to_base64url
from corral.sandbox.accounts import signing_key
from corral.sandbox.outbox import Outbox, masked
from corral.sandbox.wire import Reply, Request

HOST = "push.example.com"
MAX_BYTES = 4096

_BROWSER = "corral-sandbox-browser"
_SECRET = hashlib.sha256(_BROWSER.encode()).digest()[:16]


def subscription(name: str) -> str:
    """The subscription of the browser `name`, as JSON."""
    keys = {"p256dh": public_point(signing_key(_BROWSER)), "auth": to_base64url(_SECRET)}
    return msgspec.json.encode({"endpoint": f"https://{HOST}/{name}", "keys": keys}).decode()


class WebPushStandIn:
    """The push service."""

    provider = "webpush"

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def answer(self, request: Request) -> Reply:
        if request.method != "POST":
            return Reply(405, {"message": "messages are POSTed"})
        if not _proven(request.headers.get("authorization", "")):
            return Reply(403, {"message": "the VAPID proof does not hold"})
        if not request.headers.get("ttl", "").isdigit():
            return Reply(400, {"message": "the header TTL is missing"})
        if request.headers.get("content-encoding") != "aes128gcm":
            return Reply(415, {"message": "the content is not aes128gcm"})
        if len(request.headers.get("topic", "")) > 32:
            return Reply(400, {"message": "the topic is too long"})
        if len(request.body) > MAX_BYTES:
            return Reply(413, {"message": "the message is too large"})
        name = request.path.strip("/")
        if name.startswith("dead"):
            self._outbox.record("webpush", "refused", token=masked(name), why="gone")
            return Reply(410)
        if name.startswith("late"):
            return self.fault(429)
        try:
            plain = http_ece.decrypt(
                request.body, private_key=signing_key(_BROWSER), auth_secret=_SECRET, version="aes128gcm"
            )
            shown: dict[str, Any] = msgspec.json.decode(plain, type=dict[str, Any])
        except (http_ece.ECEException, msgspec.DecodeError, ValueError):
            return Reply(400, {"message": "the browser cannot decrypt this"})
        self._outbox.record(
            "webpush",
            "push",
            token=masked(name),
            title=shown.get("title", ""),
            body=shown.get("body", ""),
            data=shown.get("data", {}),
            collapseKey=shown.get("tag", ""),
        )
        return Reply(201, None, {"location": f"https://{HOST}/message/{name}"})

    def fault(self, status: int) -> Reply:
        return Reply(status, {"message": "a scripted fault"}, {"retry-after": "1"} if status == 429 else {})


def _proven(authorization: str) -> bool:
    scheme, _, rest = authorization.partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if scheme.lower() != "vapid" or "t" not in parts:
        return False
    try:
        key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), from_base64url(parts.get("k", "")))
        claim = jwt.decode(
            parts["t"],
            key,
            algorithms=["ES256"],
            audience=f"https://{HOST}",
            options={"require": ["aud", "exp", "sub"]},
        )
    except (jwt.InvalidTokenError, ValueError):
        return False
    return float(claim["exp"]) <= time.time() + 86_400
