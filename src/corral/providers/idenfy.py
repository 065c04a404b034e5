"""iDenfy: sessions, direct upload, status, signed webhooks.

Guarantees: one method is one request; answers are judged on `identifier`, since iDenfy's HTTP status may be
400 for all of them. There is no idempotency key and no look-up without a scanRef, so the handler stores
{scan_ref, auth_token} before `process`, and asks `status` before it sends a second time.
Limits: `process` (direct upload) must be enabled on the contract. Polling is forbidden: one `status` call at
the end of a session's time, no more.

Options: IDENFY_API_KEY, IDENFY_API_SECRET, IDENFY_WEBHOOK_KEY (default: the API secret), CORRAL_KYC_COUNTRY.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from corral.providers.checking import accepted
from corral.providers.choice import Surroundings, sandboxed
from corral.providers.errors import ProviderMisconfigured, ProviderPermanent
from corral.providers.http import ProviderClient, read_answer
from corral.providers.verdict import Answer, Kind, Verdict, by_status, safe_code
from corral.providers.webhook import Signal, body, verify
from corral.sandbox import keys
from corral.settings import Settings

#: Bytes of one image, before base64. iDenfy takes 6 MB, but no request over 20 MB, and three have to fit.
IMAGE_BYTES = (1, 4_500_000)

#: Seconds that a session stays open for its photographs.
SESSION_EXPIRY = 3600

#: iDenfy's older pages call the key so, its newest page `token`.
TOKEN_FIELD = "authToken"  # noqa: S105 - the name of a field

_RETRY = frozenset({"TOO_MANY_REQUESTS", "INTERNAL_ERROR"})
_ACCOUNT = frozenset({"UNAUTHORIZED", "PERMISSIONS_ERROR", "PARTNER_CONTRACT_ERROR"})
_NO_CREDITS = "token limit"


class TokenNotValid(ProviderPermanent):
    """The session's token was used or has expired. Ask `status` whether the photographs were taken."""


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """An identification session."""

    scan_ref: str
    auth_token: str


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """Where a session stands. `status` is APPROVED, DENIED, SUSPECTED, REVIEWING, ACTIVE, EXPIRED, …"""

    status: str
    scan_ref: str = ""
    fraud_tags: list[str] | None = None
    mismatch_tags: list[str] | None = None


#: The reference of no session; only who has a good key learns that.
NO_SESSION = "corral-check"


class _Overall(msgspec.Struct, rename="camel"):
    overall: str | None = None
    fraud_tags: list[str] | None = None
    mismatch_tags: list[str] | None = None


class _Webhook(msgspec.Struct, rename="camel"):
    scan_ref: str
    final: bool
    status: _Overall


class Idenfy:
    """Calls to iDenfy. Every method raises the four provider errors.

    country: alpha-2, for jobs that name no issuing country.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        api_secret: str,
        webhook_key: str = "",
        country: str = "",
        missing: str = "",
        sandbox: bool = False,
    ) -> None:
        self.country = country
        self._webhook_key = webhook_key or api_secret
        self._client = ProviderClient(
            "idenfy",
            base_url=base_url,
            classify=classify,
            auth=(api_key, api_secret),
            secrets=[api_key, api_secret],
            missing=missing,
            sandbox=sandbox,
        )

    async def create_session(
        self,
        *,
        client_id: str,
        external_ref: str,
        document_type: str,
        with_face: bool,
        details: Mapping[str, str] | None = None,
    ) -> Session:
        """Open a session. Not repeatable.

        document_type: PASSPORT, ID_CARD, DRIVER_LICENSE, RESIDENCE_PERMIT.
        external_ref: at most 40 characters.
        details: what else iDenfy compares with the document (documentNumber, firstName, …).
        """
        details = {k: v for k, v in (details or {}).items() if v}
        body: dict[str, Any] = {
            "clientId": client_id,
            "externalRef": external_ref,
            "tokenType": "IDENTIFICATION" if with_face else "DOCUMENT",
            "documents": [document_type],
            "expiryTime": SESSION_EXPIRY,
            **details,
        }
        private = [client_id, *details.values()]
        return await self._client.call(
            "POST", "/api/v2/token", Session, repeatable=False, private=private, json=body
        )

    async def process(
        self, auth_token: str, *, country: str, document_type: str, images: Mapping[str, bytes]
    ) -> None:
        """Hand over the photographs: FRONT, BACK, FACE to bytes. It starts the verification: reconcile first.

        country: alpha-2. Raises TokenNotValid besides the four; a photograph without a document is permanent.
        """
        country = country or self.country
        if not country and not self._client.missing:
            raise ProviderMisconfigured(
                "idenfy", "the job names no issuingCountry and there is no default; set CORRAL_KYC_COUNTRY"
            )
        body = {
            TOKEN_FIELD: auth_token,
            "country": country,
            "documentType": document_type,
            "images": {side: base64.b64encode(content).decode() for side, content in images.items()},
        }
        try:
            response = await self._client.send(
                "POST", "/api/v2/process", repeatable=False, private=[auth_token], json=body
            )
        except ProviderPermanent as error:
            if error.code == "TOKEN_NOT_VALID":
                raise TokenNotValid("idenfy", error.reason, code=error.code) from error
            raise
        # A good answer is empty. One with a message says, under a 200, that no document was found.
        if read_answer(response).text("message"):
            raise ProviderPermanent(
                "idenfy", "POST /api/v2/process: no document was found in the photographs"
            )

    async def status(self, scan_ref: str) -> Status:
        """Where a session stands."""
        return await self._client.call(
            "POST", "/api/v2/status", Status, repeatable=True, json={"scanRef": scan_ref}
        )

    async def check(self) -> None:
        """Whether the key works: asks for a session that there is not. Raises as all methods do."""
        with accepted():
            await self.status(NO_SESSION)

    async def data(self, scan_ref: str) -> dict[str, Any]:
        """What iDenfy read from the document (docNumber, docExpiry, …): personal, never to be logged."""
        return await self._client.call(
            "POST", "/api/v2/data", dict[str, Any], repeatable=True, json={"scanRef": scan_ref}
        )

    def verify_webhook(self, raw: bytes, signature: str) -> None:
        """Raise WebhookRejected unless `Idenfy-Signature` is the body's."""
        read_webhook(raw, signature, self._webhook_key)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def from_settings(around: Surroundings) -> Idenfy:
    """iDenfy of the account that the settings name, or the sandbox's."""
    settings = around.settings
    signed_with = webhook_key(settings)
    if around.plays(settings.idenfy_api_key, settings.idenfy_api_secret):
        return Idenfy(
            base_url=f"{around.sandbox_url}/idenfy",
            api_key=keys.IDENFY_API_KEY,
            api_secret=keys.IDENFY_API_SECRET,
            webhook_key=signed_with,
            # Nothing is real there, so a job without a country need not fail.
            country=settings.kyc_country or keys.COUNTRY,
            sandbox=True,
        )
    key, secret = settings.idenfy_api_key.get_secret_value(), settings.idenfy_api_secret.get_secret_value()
    return Idenfy(
        base_url="https://ivs.idenfy.com",
        api_key=key,
        api_secret=secret,
        webhook_key=signed_with,
        country=settings.kyc_country,
        missing="" if key and secret else "there is no key; set IDENFY_API_KEY and IDENFY_API_SECRET",
    )


def webhook_key(settings: Settings) -> str:
    """The secret that iDenfy's webhooks are signed with; the same holds as for Onfido's."""
    if sandboxed(settings, settings.idenfy_api_key, settings.idenfy_api_secret):
        return keys.IDENFY_WEBHOOK_KEY
    return settings.idenfy_webhook_key.get_secret_value() or settings.idenfy_api_secret.get_secret_value()


def signal_name(scan_ref: str) -> str:
    """The signal that ends the wait for a session."""
    return f"idenfy:{scan_ref}"


def read_webhook(raw: bytes, signature: str, key: str) -> Signal | None:
    """The signal in a webhook; None unless it is final. Raises WebhookRejected.

    The rest of the body is personal (names, dates, links to photographs) and goes no further.
    """
    verify("idenfy", "IDENFY_WEBHOOK_KEY", key, raw, signature)
    event = body("idenfy", raw, _Webhook)
    if not event.final:
        return None
    return signal_name(event.scan_ref), {
        "overall": event.status.overall or "",
        "fraudTags": event.status.fraud_tags or [],
        "mismatchTags": event.status.mismatch_tags or [],
    }


def classify(answer: Answer) -> Verdict:
    """iDenfy's answers: `identifier` wins over the HTTP status."""
    identifier = answer.text("identifier")
    message = answer.text("message")
    if not identifier and 200 <= answer.status < 300:
        return by_status(answer)
    code = safe_code(identifier, answer.status)
    if identifier in _RETRY:
        return Verdict(Kind.RETRY, code, message, answer.retry_after)
    if identifier in _ACCOUNT or (answer.status >= 400 and _NO_CREDITS in message.lower()):
        return Verdict(Kind.MISCONFIGURED, code, message)
    if identifier:
        return Verdict(Kind.PERMANENT, code, message)
    return by_status(answer, code, message)
