"""SendGrid v3: one message of one job.

Guarantees: one call is one request with one personalization, so an error belongs to one job. SendGrid has no
idempotency key: a lost answer is `ProviderAmbiguous`. The job's id goes along as `custom_args.job_id` and
comes back in every event, and the `Message-ID` is the job's own.
Limits: an accepted message (202) is queued, not delivered; what became of it comes by the event webhook
(`sendgrid_events`). SendGrid takes 30 MB a request and 10 tags; more is its 413 or 400.

Options: SENDGRID_API_KEY, SENDGRID_REGION (global, eu).
"""

from __future__ import annotations

import base64
import re
from typing import Any

from corral.providers.choice import Surroundings
from corral.providers.http import ProviderClient
from corral.providers.mail import Address, Mail, private_values, refuse_unsafe
from corral.providers.verdict import Answer, Kind, Verdict, by_status, safe_code
from corral.sandbox import keys

_BASE_URLS = {"global": "https://api.sendgrid.com", "eu": "https://api.eu.sendgrid.com"}

#: Errors of one answer that are repeated in a reason.
_ERRORS_SHOWN = 3


class SendGrid:
    """Sends mail by SendGrid."""

    name = "sendgrid"

    def __init__(self, *, base_url: str, api_key: str, missing: str = "", sandbox: bool = False) -> None:
        self._client = ProviderClient(
            self.name,
            base_url=base_url,
            classify=classify,
            headers={"Authorization": f"Bearer {api_key}"},
            secrets=[api_key],
            missing=missing,
            sandbox=sandbox,
        )

    async def send(self, mail: Mail) -> str:
        """Hand a message over, once. Returns SendGrid's id of it, '' if it names none.

        Raises the four provider errors. A message with a template id has no subject and body of its own.
        """
        refuse_unsafe(self.name, mail)
        response = await self._client.send(
            "POST", "/v3/mail/send", repeatable=False, private=private_values(mail), json=request_body(mail)
        )
        return str(response.headers.get("X-Message-Id", ""))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def from_settings(around: Surroundings) -> SendGrid:
    """SendGrid of the account that the settings name, or the sandbox's."""
    settings = around.settings
    if around.plays(settings.sendgrid_api_key):
        return SendGrid(
            base_url=f"{around.sandbox_url}/sendgrid", api_key=keys.SENDGRID_API_KEY, sandbox=True
        )
    key = settings.sendgrid_api_key.get_secret_value()
    return SendGrid(
        base_url=_BASE_URLS[settings.sendgrid_region],
        api_key=key,
        missing="" if key else "there is no key; set SENDGRID_API_KEY",
    )


def request_body(mail: Mail) -> dict[str, Any]:
    """The JSON of a message. Pure."""
    # An address twice in one personalization is an error there; once is what was meant.
    to = {address.email.lower(): _address(address) for address in reversed(mail.to)}
    personalization: dict[str, Any] = {
        "to": list(reversed(to.values())),
        "custom_args": {"job_id": mail.job_id},
    }
    body: dict[str, Any] = {
        "personalizations": [personalization],
        "from": _address(mail.sender),
        "headers": {**mail.headers, "Message-ID": mail.message_id},
    }
    if mail.reply_to:
        body["reply_to"] = _address(mail.reply_to)
    if mail.template:
        body["template_id"] = mail.template
        personalization["dynamic_template_data"] = dict(mail.variables)
    else:
        body["subject"] = mail.subject
        # SendGrid wants the plain text first.
        parts = (("text/plain", mail.text), ("text/html", mail.html))
        body["content"] = [{"type": kind, "value": value} for kind, value in parts if value]
    if mail.attachments:
        body["attachments"] = [
            {
                "content": base64.b64encode(attachment.content).decode(),
                "filename": attachment.name,
                "type": attachment.content_type,
                "disposition": "attachment",
            }
            for attachment in mail.attachments
        ]
    if mail.tags:
        body["categories"] = list(mail.tags)
    return body


def _address(address: Address) -> dict[str, str]:
    return {"email": address.email, **({"name": address.name} if address.name else {})}


def classify(answer: Answer) -> Verdict:
    """SendGrid's answers. A 429 waits until the limit is reset; one kind of 403 passes by itself."""
    detail = _detail(answer.body)
    code = safe_code("", answer.status)
    wait = answer.retry_after or answer.reset_after
    # A block for too many bad requests: temporary, and nothing is wrong with the account.
    if answer.status == 429 or (answer.status == 403 and "too many bad requests" in detail.lower()):
        return Verdict(Kind.RETRY, code, detail, wait)
    return by_status(answer, code, detail)


def _detail(body: Any) -> str:
    """The fields that are wrong and SendGrid's message about each."""
    errors = body.get("errors") if isinstance(body, dict) else None
    shown = []
    for error in errors[:_ERRORS_SHOWN] if isinstance(errors, list) else []:
        if isinstance(error, dict):
            # Without the positions, which would be taken for a personal number and redacted.
            field = re.sub(r"\.\d+", "", str(error.get("field") or ""))
            message = str(error.get("message") or "")
            shown.append(": ".join(part for part in (field, message) if part))
    return "; ".join(shown)
