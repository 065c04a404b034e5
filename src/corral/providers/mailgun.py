"""Mailgun v3: one message of one job.

Guarantees: one call is one request. Mailgun has no idempotency key (its `X-Idempotency-Key` is only a header
of the mail): a lost answer is `ProviderAmbiguous`. The job's id goes along as `v:job_id` and comes back in
every event, and the `Message-Id` is the job's own.
Limits: an accepted message (200) is queued, not delivered; what became of it comes by webhook
(`mailgun_events`). Mailgun takes 25 MB a message, and 16 KB of headers, tags and variables together.

Options: MAILGUN_API_KEY, MAILGUN_DOMAIN, MAILGUN_REGION (us, eu).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from corral.providers.choice import Surroundings
from corral.providers.http import ProviderClient
from corral.providers.mail import Address, Mail, private_values, refuse_unsafe
from corral.providers.verdict import Answer, Kind, Verdict, by_status, safe_code
from corral.sandbox import keys

_BASE_URLS = {"us": "https://api.mailgun.net/v3", "eu": "https://api.eu.mailgun.net/v3"}


class _Queued(msgspec.Struct):
    id: str


class Mailgun:
    """Sends mail by Mailgun. `domain` is the sending domain."""

    name = "mailgun"

    def __init__(
        self, *, base_url: str, api_key: str, domain: str, missing: str = "", sandbox: bool = False
    ) -> None:
        self._path = f"/{quote(domain, safe='')}/messages"
        self._client = ProviderClient(
            self.name,
            base_url=base_url,
            classify=classify,
            auth=("api", api_key),
            secrets=[api_key],
            missing=missing,
            sandbox=sandbox,
        )

    async def send(self, mail: Mail) -> str:
        """Hand a message over, once. Returns Mailgun's id of it. Raises the four provider errors.

        A message with a template has no body of its own; its subject wins over the template's, if it has one.
        """
        refuse_unsafe(self.name, mail)
        files = [
            ("attachment", (attachment.name, attachment.content, attachment.content_type))
            for attachment in mail.attachments
        ]
        request: dict[str, Any] = {"data": form_fields(mail)}
        if files:
            request["files"] = files
        queued = await self._client.call(
            "POST", self._path, _Queued, repeatable=False, private=private_values(mail), **request
        )
        return queued.id

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def from_settings(around: Surroundings) -> Mailgun:
    """Mailgun of the account that the settings name, or the sandbox's."""
    settings = around.settings
    if around.plays(settings.mailgun_api_key, settings.mailgun_domain):
        return Mailgun(
            base_url=f"{around.sandbox_url}/mailgun/v3",
            api_key=keys.MAILGUN_API_KEY,
            domain=settings.mailgun_domain or keys.MAILGUN_DOMAIN,
            sandbox=True,
        )
    key, domain = settings.mailgun_api_key.get_secret_value(), settings.mailgun_domain
    return Mailgun(
        base_url=_BASE_URLS[settings.mailgun_region],
        api_key=key,
        domain=domain,
        missing="" if key and domain else "there is no key; set MAILGUN_API_KEY and MAILGUN_DOMAIN",
    )


def form_fields(mail: Mail) -> dict[str, str | list[str]]:
    """The form of a message, without its attachments. Pure."""
    fields: dict[str, str | list[str]] = {
        "from": mailbox(mail.sender),
        "to": [mailbox(address) for address in mail.to],
        "h:Message-Id": mail.message_id,
        "v:job_id": mail.job_id,
    }
    fields |= {f"h:{name}": value for name, value in mail.headers.items()}
    if mail.reply_to:
        fields["h:Reply-To"] = mailbox(mail.reply_to)
    if mail.tags:
        fields["o:tag"] = list(mail.tags)
    if mail.template:
        fields["template"] = mail.template
        if mail.variables:
            fields["t:variables"] = msgspec.json.encode(dict(mail.variables)).decode()
    body = {"subject": mail.subject, "text": mail.text, "html": mail.html}
    return fields | {name: value for name, value in body.items() if value}


def mailbox(address: Address) -> str:
    """`"Name" <address>`; Mailgun encodes a name that is not ASCII."""
    if not address.name:
        return address.email
    quoted = address.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address.email}>'


def classify(answer: Answer) -> Verdict:
    """Mailgun's answers. A 404 with JSON may pass; without it, or about the domain, it is a setting."""
    code = safe_code("", answer.status)
    detail = answer.text("message")
    match answer.status:
        case 402:
            return Verdict(Kind.MISCONFIGURED, code, detail or "a payment is due")
        case 404 if not isinstance(answer.body, dict):
            return Verdict(Kind.MISCONFIGURED, code, "no such URL; check MAILGUN_DOMAIN, MAILGUN_REGION")
        case 404 if detail.lower().startswith("domain not found"):
            return Verdict(Kind.MISCONFIGURED, code, "no such domain; check MAILGUN_DOMAIN, MAILGUN_REGION")
        case 404:
            return Verdict(Kind.RETRY, code, detail, answer.retry_after)
    return by_status(answer, code, detail)
