"""Apple Push Notification service, with a token (ES256) over HTTP/2.

Guarantees: one call of `send` is one message, sent again only when the provider token had expired, once. The
token is reused for half an hour: Apple refuses older ones than an hour, and younger ones than twenty minutes
are "too many updates". The job's id is the collapse id; `apns-id` is made of job and device, so a repetition
has the same one. Neither tokens nor texts are in a reason.
Limits: a device token of the other environment (BadDeviceToken) counts as dead, so a wrong APNS_SANDBOX makes
every token look dead. The sandbox's stand-in is spoken to over HTTP/1.1, since HTTP/2 needs TLS.

Options: APNS_KEY (PEM, or a path to it), APNS_KEY_ID, APNS_TEAM_ID, APNS_TOPIC, APNS_SANDBOX.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from corral.errors import ConfigurationError
from corral.providers.choice import Surroundings
from corral.providers.errors import ProviderMisconfigured, ProviderPermanent, ProviderRetryable
from corral.providers.http import ProviderClient
from corral.providers.push import DeadDevice, Push
from corral.providers.signing_key import read_key, sign_token
from corral.providers.verdict import Answer, Kind, Verdict, by_status, safe_code
from corral.sandbox import keys

BASE_URL = "https://api.push.apple.com"
SANDBOX_BASE_URL = "https://api.sandbox.push.apple.com"

#: Seconds that a provider token is reused.
TOKEN_SECONDS = 30 * 60.0

#: The provider token is older than Apple takes: this machine's clock is late, or it slept.
EXPIRED = "ExpiredProviderToken"
_DEAD = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"})

#: Of the right form, and nobody's.
NO_DEVICE = "0" * 64
CHECK = Push(title="check", body="check", data={}, collapse_key="corral-check")

_TOKEN = re.compile(r"[0-9A-Za-z]{1,200}")


class Apns:
    """Calls to APNs. `key` is None with `missing`. `clock` is in epoch seconds."""

    name = "apns"

    def __init__(
        self,
        *,
        key: EllipticCurvePrivateKey | None,
        key_id: str,
        team_id: str,
        topic: str,
        base_url: str = BASE_URL,
        missing: str = "",
        sandbox: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._key_id = key_id
        self._team_id = team_id
        self._topic = topic
        self._clock = clock
        self._token = ""
        self._made_at = 0.0
        self._client = ProviderClient(
            "apns",
            base_url=base_url,
            classify=classify,
            missing=missing,
            sandbox=sandbox,
            http2=base_url.startswith("https:"),
        )

    async def send(self, token: str, push: Push) -> str:
        """Send to one device; returns the message's `apns-id`. Raises as `PushProvider.send` does."""
        if not _TOKEN.fullmatch(token):
            raise DeadDevice("apns", "what is stored is no device token", code="BadDeviceToken")
        try:
            return await self._send(token, push)
        except ProviderRetryable as error:
            if error.code != EXPIRED:
                raise
        try:
            return await self._send(token, push)
        except ProviderRetryable as error:
            if error.code != EXPIRED:
                raise
            raise ProviderMisconfigured("apns", error.reason, code=error.code) from None

    async def check(self) -> None:
        """Whether Apple takes the key for the topic: sends to a device that there is not, which is refused.

        Apple has no other question for a key. Raises the provider errors. One round trip.
        """
        try:
            await self.send(NO_DEVICE, CHECK)
        except DeadDevice:
            return
        except ProviderPermanent as error:
            raise ProviderMisconfigured("apns", error.reason, code=error.code) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _send(self, token: str, push: Push) -> str:
        provider_token = self._provider_token()
        message_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{push.collapse_key} {token}"))
        headers = {
            "authorization": f"bearer {provider_token}",
            "apns-topic": self._topic,
            "apns-push-type": "alert",
            "apns-priority": "10",
            "apns-id": message_id,
            "apns-collapse-id": push.collapse_key,
        }
        try:
            await self._client.send(
                "POST",
                f"/3/device/{token}",
                repeatable=True,
                private=[token, provider_token, *push.private],
                shown="/3/device/…",
                headers=headers,
                json=payload(push),
            )
        except ProviderPermanent as error:
            if error.code in _DEAD:
                raise DeadDevice("apns", error.reason, code=error.code) from None
            raise
        except ProviderRetryable as error:
            if error.code == EXPIRED and provider_token == self._token:
                self._token = ""
            raise
        return message_id

    def _provider_token(self) -> str:
        now = self._clock()
        if self._key is not None and (not self._token or not 0 <= now - self._made_at < TOKEN_SECONDS):
            claim = {"iss": self._team_id, "iat": int(now)}
            self._token = sign_token(self._key, claim, {"kid": self._key_id})
            self._made_at = now
        return self._token


def payload(push: Push) -> dict[str, Any]:
    """The message; data stands beside `aps`, where the app looks for it."""
    alert = {"title": push.title, "body": push.body}
    return {**push.data, "aps": {"alert": alert, "sound": "default"}}


def from_settings(around: Surroundings) -> Apns:
    """The app that the settings name, or the sandbox's."""
    settings = around.settings
    needed = {
        "APNS_KEY": settings.apns_key.get_secret_value(),
        "APNS_KEY_ID": settings.apns_key_id.get_secret_value(),
        "APNS_TEAM_ID": settings.apns_team_id,
        "APNS_TOPIC": settings.apns_topic,
    }
    if around.plays(*needed.values()):
        from corral.sandbox.accounts import signing_key  # noqa: PLC0415  # only where a sandbox runs

        return Apns(
            key=signing_key(keys.APNS_PHRASE),
            key_id=keys.APNS_KEY_ID,
            team_id=keys.APNS_TEAM_ID,
            topic=keys.APNS_TOPIC,
            base_url=f"{around.sandbox_url}/apns",
            sandbox=True,
        )
    absent = [name for name, value in needed.items() if not value]
    missing = f"there is no key; set {', '.join(absent)}" if absent else ""
    key = None
    if not missing:
        try:
            key = read_key(needed["APNS_KEY"], "APNS_KEY")
        except ConfigurationError as error:
            missing = str(error)
    return Apns(
        key=key,
        key_id=needed["APNS_KEY_ID"],
        team_id=settings.apns_team_id,
        topic=settings.apns_topic,
        base_url=SANDBOX_BASE_URL if settings.apns_sandbox else BASE_URL,
        missing=missing,
    )


def classify(answer: Answer) -> Verdict:
    """APNs's answers, by `reason` and status. An expired provider token is renewed once by `Apns.send`."""
    reason = answer.text("reason")
    code = safe_code(reason, answer.status)
    if 200 <= answer.status < 300:
        return by_status(answer)
    if reason == EXPIRED:
        return Verdict(Kind.RETRY, code)
    if reason in _DEAD or answer.status == 410:
        return Verdict(Kind.PERMANENT, code if reason in _DEAD else "Unregistered")
    return by_status(answer, code)
