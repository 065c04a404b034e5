"""Outgoing webhooks as Standard Webhooks describes them: signed, to addresses that callers chose.

Guarantees: HMAC-SHA256 over `{id}.{timestamp}.{body}` with every key that holds, so that a receiver may know
the old or the new one; the address rules of `guarded`; no redirect is followed, nothing is sent twice here.
Limits: an answer's body is not looked at.

Options: CORRAL_WEBHOOK_SECRET, CORRAL_WEBHOOKS, CORRAL_FETCH_ALLOW.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Collection

from corral.hook_settings import UNSIGNED, HookSettings
from corral.providers.choice import Surroundings
from corral.providers.errors import ProviderMisconfigured, ProviderPermanent
from corral.providers.guarded import POST_TIMEOUT, GuardedPoster
from corral.providers.verdict import OK, Answer, Kind, Verdict, raise_for

NAME = "webhook"

#: Seconds that a signature may be old or early, when one is verified.
TOLERANCE = 300.0


class EndpointGone(ProviderPermanent):
    """The endpoint answered 410: nothing is to be sent there any more."""


def sign(keys: Collection[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one signature for each key, separated by spaces.

    timestamp: epoch seconds.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys
    )


def verified(keys: Collection[bytes], headers: dict[str, str], body: bytes, now: float) -> bool:
    """Whether a message is signed with one of the keys. Header names in lowercase; `now`: epoch seconds."""
    timestamp = headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp)) > TOLERANCE:
        return False
    expected = sign(keys, headers.get("webhook-id", ""), int(timestamp), body).split()
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(a.encode(), b.encode()) for a in expected for b in given)


def classify(answer: Answer) -> Verdict:
    """2xx is delivered, 410 is for good; a stranger's server may be repaired, so all else is tried again."""
    if 200 <= answer.status < 300:
        return OK
    code = f"HTTP {answer.status}"
    if answer.status == 410:
        return Verdict(Kind.PERMANENT, code)
    return Verdict(Kind.RETRY, code, after=answer.retry_after)


class WebhookSender:
    """Sends signed messages. One per process and loop.

    keys_for: the keys that sign what goes to a URL.
    timeout: seconds that one request may take.
    clock: epoch seconds.
    """

    def __init__(
        self,
        poster: GuardedPoster,
        keys_for: Callable[[str], Collection[bytes]],
        *,
        timeout: float = POST_TIMEOUT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._poster = poster
        self._keys_for = keys_for
        self._timeout = timeout
        self._clock = clock

    async def send(self, url: str, message_id: str, body: bytes) -> int:
        """Send one message; the status of a 2xx answer.

        Raises EndpointGone (410), FetchBlocked, FetchRefused, ProviderRetryable (any other answer, or nobody
        there), ProviderAmbiguous (no answer), ProviderMisconfigured (no key).
        """
        keys = self._keys_for(url)
        if not keys:
            raise ProviderMisconfigured(NAME, UNSIGNED)
        timestamp = int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(keys, message_id, timestamp, body),
        }
        posted = await self._poster.post(url, body, headers, timeout=self._timeout)
        verdict = classify(posted.answer)
        if verdict.kind is Kind.PERMANENT:
            raise EndpointGone(NAME, f"the endpoint answered {posted.status}", code=verdict.code)
        raise_for(NAME, verdict, f"the endpoint answered {posted.status}")
        return posted.status

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def from_settings(around: Surroundings) -> WebhookSender:
    """The sender that the settings describe. Raises ConfigurationError for malformed ones."""
    poster = GuardedPoster(NAME, allow=around.settings.fetch_allow, sandbox_url=around.sandbox_url)
    return WebhookSender(poster, HookSettings.of(around.settings).keys_for)
