"""Mailgun's signed webhook: HMAC over a time and a token, then the event beside it. Pure.

Mailgun does not sign the event itself: whoever saw one webhook could send others with its signature. So the
caller must take every token once only (`Signed.token`), and remember it until `Signed.expires_in` has passed;
after that the time in the signature is too old anyway.
Limits: opens and clicks are passed over.

Options: MAILGUN_WEBHOOK_KEY.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from corral.providers.choice import sandboxed
from corral.providers.errors import WebhookRejected
from corral.providers.mail_events import MailEvent, MailEventKind, text_or_empty
from corral.providers.webhook import body, verify
from corral.sandbox import keys
from corral.settings import Settings

#: Seconds. Mailgun repeats a webhook for 8 hours, and does not say that it signs each try anew.
MAX_AGE = 12 * 3600

#: Seconds that Mailgun's clock may be ahead of ours.
MAX_AHEAD = 300


class _Signature(msgspec.Struct):
    timestamp: str
    token: str
    signature: str


class _Variables(msgspec.Struct):
    #: Anybody may send a variable of this name, of any kind.
    job_id: Any = ""


class _Event(msgspec.Struct, rename="kebab"):
    event: str
    recipient: str = ""
    severity: str = ""
    reason: str = ""
    user_variables: _Variables = msgspec.field(default_factory=_Variables)


class _Webhook(msgspec.Struct, rename="kebab"):
    signature: _Signature
    event_data: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Signed:
    """A genuine webhook. `event` is None if it is of no concern; `expires_in` is in seconds."""

    token: str
    expires_in: float
    event: MailEvent | None


def webhook_key(settings: Settings) -> str:
    """The secret of Mailgun's webhooks. The sandbox's counts only while Mailgun is the sandbox."""
    if sandboxed(settings, settings.mailgun_api_key, settings.mailgun_domain):
        return keys.MAILGUN_WEBHOOK_KEY
    return settings.mailgun_webhook_key.get_secret_value()


def read_webhook(raw: bytes, key: str, now: float) -> Signed:
    """The event in a webhook. `now` is in epoch seconds. Raises WebhookRejected."""
    webhook = body("mailgun", raw, _Webhook)
    proof = webhook.signature
    verify("mailgun", "MAILGUN_WEBHOOK_KEY", key, (proof.timestamp + proof.token).encode(), proof.signature)
    if not (proof.timestamp.isascii() and proof.timestamp.isdigit() and proof.token):
        raise WebhookRejected("mailgun: the signed body is not of the form that is documented")
    age = now - float(proof.timestamp[:12])
    if not -MAX_AHEAD <= age <= MAX_AGE:
        raise WebhookRejected("mailgun: the webhook is signed for another time; compare the clocks")
    event = _mail_event(body("mailgun", webhook.event_data, _Event))
    return Signed(proof.token, MAX_AGE - age + MAX_AHEAD, event)


def _mail_event(event: _Event) -> MailEvent | None:
    found = _judged(event)
    if found is None or not event.recipient:
        return None
    kind, permanent = found
    return MailEvent(kind, event.recipient, text_or_empty(event.user_variables.job_id), permanent)


def _judged(event: _Event) -> tuple[MailEventKind, bool] | None:
    """What happened, and whether it is for good."""
    match event.event:
        case "delivered":
            return MailEventKind.DELIVERED, False
        case "complained":
            return MailEventKind.COMPLAINED, False
        case "unsubscribed":
            return MailEventKind.UNSUBSCRIBED, False
        case "rejected":
            # Mailgun found the message wrong (a virus, a broken address): not the recipient.
            return MailEventKind.DROPPED, False
        case "failed" if event.severity != "permanent":
            return MailEventKind.DEFERRED, False
        case "failed" if event.reason.startswith("suppress-"):
            return MailEventKind.DROPPED, True
        case "failed":
            # Others (`old`, `espblock`, `generic`) are about the server or the way there.
            return MailEventKind.BOUNCED, event.reason in ("bounce", "")
    return None
