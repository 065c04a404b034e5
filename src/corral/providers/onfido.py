"""Onfido v3.6: applicants, documents, live photos, checks, reports, signed webhooks.

Guarantees: one method is one request; answers are judged by `classify`. Onfido has no idempotency key, so
a lost answer to a create is `ProviderAmbiguous`; `find_checks` is there to reconcile. Checks are what Onfido
bills; applicants and documents are not.
Limits: classic checks only, no Studio workflows.

Options: ONFIDO_API_KEY, ONFIDO_REGION (eu, us, ca), ONFIDO_WEBHOOK_TOKEN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from corral.providers.choice import Surroundings, sandboxed
from corral.providers.http import ProviderClient
from corral.providers.verdict import Answer, Kind, Verdict, by_status, safe_code
from corral.providers.webhook import Signal, body, verify
from corral.sandbox import keys
from corral.settings import Settings

#: Bytes that Onfido takes: a document, a live photo.
DOCUMENT_BYTES = (2 * 1024, 3 * 1024 * 1024)
LIVE_PHOTO_BYTES = (32 * 1024, 10 * 1024 * 1024)

#: Seconds to wait after a 429: Onfido counts by the minute and sends no Retry-After.
RATE_LIMIT_WAIT = 30.0

#: The account or the key is wrong, whatever the HTTP status.
_ACCOUNT = frozenset(
    {
        "authorization_error",
        "user_authorization_error",
        "bad_referrer",
        "expired_token",
        "account_disabled",
        "missing_billing_info",
        "incorrect_base_url",
        "trial_limits_reached",
    }
)


class Created(msgspec.Struct, frozen=True):
    """An applicant, a document or a live photo, of which only the id is of use."""

    id: str


class Applicant(msgspec.Struct, frozen=True):
    """A person to check. `id_numbers` are personal, never logged."""

    id: str
    id_numbers: list[dict[str, Any]] = msgspec.field(default_factory=list)


class Check(msgspec.Struct, frozen=True):
    """A check. `result` (clear, consider) is set when `status` is complete."""

    id: str
    status: str
    result: str | None = None
    tags: list[str] = msgspec.field(default_factory=list)
    applicant_id: str = ""
    report_ids: list[str] = msgspec.field(default_factory=list)


class Report(msgspec.Struct, frozen=True):
    """A report of a check. `properties` is what Onfido read from the document: personal, never logged."""

    id: str
    name: str
    status: str
    result: str | None = None
    sub_result: str | None = None
    properties: dict[str, Any] = msgspec.field(default_factory=dict)


class _Object(msgspec.Struct):
    id: str
    status: str = ""


class _Event(msgspec.Struct):
    action: str
    object: _Object


class _Webhook(msgspec.Struct):
    payload: _Event


class _Checks(msgspec.Struct):
    checks: list[Check]


class _Reports(msgspec.Struct):
    reports: list[Report]


class Onfido:
    """Calls to Onfido. Every method raises the four provider errors.

    sandbox: the client talks to the local stand-in.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        webhook_token: str = "",
        missing: str = "",
        sandbox: bool = False,
    ) -> None:
        self._webhook_token = webhook_token
        self._client = ProviderClient(
            "onfido",
            base_url=base_url,
            classify=classify,
            headers={"Authorization": f"Token token={api_key}"},
            secrets=[api_key],
            missing=missing,
            sandbox=sandbox,
        )

    async def create_applicant(
        self,
        *,
        first_name: str,
        last_name: str,
        date_of_birth: str | None = None,
        id_numbers: Sequence[Mapping[str, str]] = (),
    ) -> str:
        """A person to check. `date_of_birth` is YYYY-MM-DD. Returns its id. Not repeatable, not billed."""
        body: dict[str, Any] = {"first_name": first_name, "last_name": last_name}
        if date_of_birth:
            body["dob"] = date_of_birth
        if id_numbers:
            body["id_numbers"] = list(id_numbers)
        private = [first_name, last_name, date_of_birth or "", *(n.get("value", "") for n in id_numbers)]
        created = await self._client.call(
            "POST", "/applicants", Created, repeatable=False, private=private, json=body
        )
        return created.id

    async def get_applicant(self, applicant_id: str) -> Applicant:
        """One applicant with the id numbers that it was made with."""
        return await self._client.call("GET", f"/applicants/{applicant_id}", Applicant, repeatable=True)

    async def upload_document(
        self,
        applicant_id: str,
        *,
        document_type: str,
        side: str,
        content: bytes,
        content_type: str,
        issuing_country: str | None = None,
    ) -> str:
        """A photograph of one side of a document; `issuing_country` is alpha-3. Returns its id."""
        fields = {"applicant_id": applicant_id, "type": document_type, "side": side}
        if issuing_country:
            fields["issuing_country"] = issuing_country
        file = (f"{side}{_SUFFIX.get(content_type, '')}", content, content_type)
        created = await self._client.call(
            "POST", "/documents", Created, repeatable=False, data=fields, files={"file": file}
        )
        return created.id

    async def upload_live_photo(self, applicant_id: str, *, content: bytes, content_type: str) -> str:
        """A selfie. Returns its id. Not billed."""
        file = (f"selfie{_SUFFIX.get(content_type, '')}", content, content_type)
        created = await self._client.call(
            "POST",
            "/live_photos",
            Created,
            repeatable=False,
            data={"applicant_id": applicant_id},
            files={"file": file},
        )
        return created.id

    async def create_check(
        self,
        applicant_id: str,
        *,
        report_names: Sequence[str],
        document_ids: Sequence[str],
        tags: Sequence[str],
    ) -> Check:
        """Order the check. Billed, so reconcile with `find_checks` before doing it a second time."""
        body = {
            "applicant_id": applicant_id,
            "report_names": list(report_names),
            "document_ids": list(document_ids),
            "asynchronous": True,
            "tags": list(tags),
        }
        return await self._client.call("POST", "/checks", Check, repeatable=False, private=tags, json=body)

    async def find_checks(self, applicant_id: str) -> list[Check]:
        """All checks of an applicant."""
        answer = await self._client.call(
            "GET", "/checks", _Checks, repeatable=True, params={"applicant_id": applicant_id}
        )
        return answer.checks

    async def get_check(self, check_id: str) -> Check:
        """One check as it stands."""
        return await self._client.call("GET", f"/checks/{check_id}", Check, repeatable=True)

    async def get_reports(self, check_id: str) -> list[Report]:
        """The reports of a check."""
        answer = await self._client.call(
            "GET", "/reports", _Reports, repeatable=True, params={"check_id": check_id}
        )
        return answer.reports

    def verify_webhook(self, raw: bytes, signature: str) -> None:
        """Raise WebhookRejected unless `X-SHA2-Signature` is the body's."""
        read_webhook(raw, signature, self._webhook_token)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def from_settings(around: Surroundings) -> Onfido:
    """Onfido of the account that the settings name, or the sandbox's."""
    settings = around.settings
    token = webhook_token(settings)
    if around.plays(settings.onfido_api_key):
        return Onfido(
            base_url=f"{around.sandbox_url}/onfido/v3.6",
            api_key=keys.ONFIDO_API_KEY,
            webhook_token=token,
            sandbox=True,
        )
    key = settings.onfido_api_key.get_secret_value()
    return Onfido(
        base_url=f"https://api.{settings.onfido_region}.onfido.com/v3.6",
        api_key=key,
        webhook_token=token,
        missing="" if key else "there is no key; set ONFIDO_API_KEY",
    )


def webhook_token(settings: Settings) -> str:
    """The secret that Onfido's webhooks are signed with.

    The sandbox's token is public, so it counts only while Onfido itself is the sandbox.
    """
    if sandboxed(settings, settings.onfido_api_key):
        return keys.ONFIDO_WEBHOOK_TOKEN
    return settings.onfido_webhook_token.get_secret_value()


def signal_name(check_id: str) -> str:
    """The signal that ends the wait for a check."""
    return f"onfido:{check_id}"


def read_webhook(raw: bytes, signature: str, token: str) -> Signal | None:
    """The signal in a webhook; None if no job waits for such an event. Raises WebhookRejected.

    The body carries no result, so whoever is woken asks for it.
    """
    verify("onfido", "ONFIDO_WEBHOOK_TOKEN", token, raw, signature)
    event = body("onfido", raw, _Webhook).payload
    if event.action not in _ENDS:
        return None
    return signal_name(event.object.id), {"action": event.action, "status": event.object.status}


#: The events after which a check has an outcome.
_ENDS = frozenset({"check.completed", "check.withdrawn"})

_SUFFIX = {"image/jpeg": ".jpg", "image/png": ".png", "application/pdf": ".pdf"}


def classify(answer: Answer) -> Verdict:
    """Onfido's answers: the error type wins over the HTTP status."""
    if 200 <= answer.status < 300:
        return by_status(answer)
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    error = error if isinstance(error, dict) else {}
    kind = error.get("type") if isinstance(error.get("type"), str) else ""
    code = safe_code(kind or "", answer.status)
    detail = _detail(error)
    if kind in _ACCOUNT:
        return Verdict(Kind.MISCONFIGURED, code, detail)
    if kind == "rate_limit" or answer.status == 429:
        return Verdict(Kind.RETRY, code, detail, answer.retry_after or RATE_LIMIT_WAIT)
    return by_status(answer, code, detail)


def _detail(error: dict[str, Any]) -> str:
    """Which fields are wrong (their names are Onfido's, not personal), then the message."""
    fields = error.get("fields")
    names = ", ".join(sorted(str(name) for name in fields)) if isinstance(fields, dict) else ""
    message = error.get("message")
    return "; ".join(part for part in (names, message if isinstance(message, str) else "") if part)
