"""Web Push (RFC 8030): encrypted for the browser (RFC 8291, aes128gcm), signed with VAPID (RFC 8292).

A device's token is its subscription as browsers give it: `{"endpoint", "keys": {"p256dh", "auth"}}`.

Guarantees: the endpoint is a URL that a stranger chose, so it goes through the guarded POST: public addresses
only, no redirect. The message's `Topic` is made of the job's id, so that what still waits at the push service
is replaced. No reason names more of the endpoint than its host.
Limits: 3,993 bytes of JSON, what one record of 4,096 holds. A push service that refuses our key costs its
devices, never the queue: a stranger's server must not be able to hold jobs back.

Options: VAPID_PRIVATE_KEY, VAPID_SUBJECT, CORRAL_FETCH_ALLOW.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import http_ece  # type: ignore[import-untyped]  # it has no types
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)

from corral.errors import ConfigurationError
from corral.providers.choice import Surroundings
from corral.providers.errors import (
    FetchRefused,
    ProviderAmbiguous,
    ProviderError,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.providers.guarded import GuardedPoster
from corral.providers.push import DeadDevice, Push
from corral.providers.signing_key import from_base64url, public_point, read_key, sign_token, to_base64url
from corral.providers.verdict import Answer, Kind, Verdict, by_status, raise_for
from corral.sandbox import keys

log = structlog.get_logger(__name__)

#: Bytes of a message before encryption: a record of 4,096, less the header (86), the tag (16) and a byte.
MAX_PLAIN = 3993

#: Seconds that a push service keeps a message for a browser that is away: four weeks, as FCM does.
KEPT_SECONDS = 28 * 86_400

#: Seconds that a signed claim is good for; RFC 8292 allows 24 hours. It is renewed after half of them.
CLAIM_SECONDS = 12 * 3600.0

#: Push services remembered; a browser's maker has one or two.
ORIGINS = 100

_GONE = "HTTP 404 or 410"


class _Keys(msgspec.Struct):
    p256dh: str
    auth: str


class _Subscription(msgspec.Struct):
    endpoint: str
    keys: _Keys


class WebPush:
    """Messages to browsers. `key` is None with `missing`. `clock` is in epoch seconds."""

    name = "webpush"

    def __init__(
        self,
        *,
        key: EllipticCurvePrivateKey | None,
        subject: str,
        poster: GuardedPoster,
        missing: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._public = public_point(key) if key is not None else ""
        self._subject = subject
        self._poster = poster
        self._missing = missing
        self._clock = clock
        self._claims: dict[str, tuple[float, str]] = {}

    async def send(self, token: str, push: Push) -> str:
        """Send to one browser; returns "", since its id there is a secret URL.

        Raises as `PushProvider.send` does.
        """
        try:
            return await self._send(token, push)
        except ProviderMisconfigured as error:
            log.error("provider_misconfigured", provider="webpush", reason=error.reason)
            raise
        except ProviderError as error:
            kind = type(error).__name__
            log.warning("provider_call_failed", provider="webpush", reason=error.reason, kind=kind)
            raise

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()

    async def _send(self, token: str, push: Push) -> str:
        if self._missing or self._key is None:
            raise ProviderMisconfigured("webpush", self._missing)
        try:
            subscription = msgspec.json.decode(token.encode(), type=_Subscription)
            content = encrypt(payload(push), from_base64url(subscription.keys.p256dh),
                              from_base64url(subscription.keys.auth))  # fmt: skip
        except (msgspec.DecodeError, ValueError):
            raise DeadDevice("webpush", "what is stored is no subscription", code="subscription") from None
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "TTL": str(KEPT_SECONDS),
            "Urgency": "high",
            "Topic": topic(push.collapse_key),
            "Authorization": f"vapid t={self._claim(subscription.endpoint)}, k={self._public}",
        }
        try:
            posted = await self._poster.post(subscription.endpoint, content, headers)
        except ProviderAmbiguous as error:
            # The topic has a repetition replace the first.
            raise ProviderRetryable("webpush", error.reason) from None
        verdict = classify(posted.answer)
        host = urlsplit(subscription.endpoint).hostname
        if verdict.code == _GONE:
            raise DeadDevice("webpush", f"{host} answered {posted.status}", code=verdict.code)
        raise_for("webpush", verdict, f"{host} answered {posted.status}")
        return ""

    def _claim(self, endpoint: str) -> str:
        try:
            parts = urlsplit(endpoint)
        except ValueError:
            raise FetchRefused("this is not a URL") from None
        origin = f"{parts.scheme}://{parts.netloc}"
        now = self._clock()
        made_at, claim = self._claims.get(origin, (0.0, ""))
        if not claim or not 0 <= now - made_at < CLAIM_SECONDS / 2:
            assert self._key is not None  # noqa: S101  # `_send` has looked
            body = {"aud": origin, "exp": int(now + CLAIM_SECONDS), "sub": self._subject}
            claim = sign_token(self._key, body)
            if len(self._claims) >= ORIGINS:
                self._claims.clear()
            self._claims[origin] = (now, claim)
        return claim


def payload(push: Push) -> bytes:
    """What the page's service worker gets. Raises ProviderPermanent if it is too large."""
    shown = {"title": push.title, "body": push.body, "tag": push.collapse_key, "data": dict(push.data)}
    plain = msgspec.json.encode(shown)
    if len(plain) > MAX_PLAIN:
        raise ProviderPermanent("webpush", f"the message has {len(plain)} bytes; {MAX_PLAIN} fit")
    return plain


def encrypt(plain: bytes, receiver: bytes, secret: bytes) -> bytes:
    """One aes128gcm record for a browser's key and secret. Raises ValueError if they are none."""
    if len(secret) != 16:
        raise ValueError("the secret of a subscription has 16 bytes")
    EllipticCurvePublicKey.from_encoded_point(SECP256R1(), receiver)
    key = generate_private_key(SECP256R1())
    content: bytes = http_ece.encrypt(
        plain, private_key=key, dh=receiver, auth_secret=secret, version="aes128gcm"
    )
    return content


def topic(collapse_key: str) -> str:
    """At most 32 characters of base64url, which is what a Topic may have."""
    return to_base64url(hashlib.sha256(collapse_key.encode()).digest()[:24])


def from_settings(around: Surroundings) -> WebPush:
    """The key that the settings name, or the sandbox's."""
    settings = around.settings
    poster = GuardedPoster("webpush", allow=settings.fetch_allow, sandbox_url=around.sandbox_url)
    private = settings.vapid_private_key.get_secret_value()
    if around.plays(private, settings.vapid_subject):
        from corral.sandbox.accounts import signing_key  # noqa: PLC0415  # only where a sandbox runs

        return WebPush(key=signing_key(keys.VAPID_PHRASE), subject=keys.VAPID_SUBJECT, poster=poster)
    missing, key = "there is no key; set VAPID_PRIVATE_KEY and VAPID_SUBJECT", None
    if private and settings.vapid_subject:
        try:
            key, missing = read_key(private, "VAPID_PRIVATE_KEY"), ""
        except ConfigurationError as error:
            missing = str(error)
    return WebPush(key=key, subject=settings.vapid_subject, poster=poster, missing=missing)


def classify(answer: Answer) -> Verdict:
    """A push service's answers, by status alone: their bodies differ.

    No 401 or 403 is the account's fault here: whose server it is, a stranger said.
    """
    if answer.status in (404, 410):
        return Verdict(Kind.PERMANENT, _GONE)
    if answer.status in (401, 403) or answer.status < 200 or 300 <= answer.status < 400:
        return Verdict(Kind.PERMANENT, f"HTTP {answer.status}")
    return by_status(answer)
