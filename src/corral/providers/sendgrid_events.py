"""SendGrid's signed event webhook: ECDSA over timestamp and raw body, then the events in it. Pure.

Guarantees: nothing is read from a body whose signature does not match, or whose time is further than five
minutes from now. Within those a repetition passes: what is done with an event may be done twice.
Limits: a delivery that SendGrid repeats after that counts only if it is signed anew. Opens, clicks, and
unsubscriptions from one group only are no concern of the suppression list; they are passed over.

Options: SENDGRID_WEBHOOK_KEY.
"""

# ruff: noqa: PLC0415  # cryptography is for those who get such events, not for each start of the HTTP service

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from corral.providers.choice import sandboxed
from corral.providers.errors import WebhookRejected
from corral.providers.mail_events import MailEvent, MailEventKind, text_or_empty
from corral.providers.webhook import body
from corral.sandbox import keys
from corral.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

SIGNATURE_HEADER = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP_HEADER = "X-Twilio-Email-Event-Webhook-Timestamp"

#: Seconds that a webhook's time may be from ours, either way.
TOLERANCE = 300

_KINDS = {
    "delivered": MailEventKind.DELIVERED,
    "deferred": MailEventKind.DEFERRED,
    "bounce": MailEventKind.BOUNCED,
    "dropped": MailEventKind.DROPPED,
    "spamreport": MailEventKind.COMPLAINED,
    "unsubscribe": MailEventKind.UNSUBSCRIBED,
}

#: Drops for the address's sake; others (a quota, a malformed header) say nothing about it.
_DROPPED_FOR_GOOD = ("bounced address", "invalid", "spam reporting address", "unsubscribed address")


class _Event(msgspec.Struct):
    """Custom arguments are beside SendGrid's own fields."""

    event: str
    email: str = ""
    #: Anybody may send a custom argument of this name, of any kind.
    job_id: Any = ""
    type: str = ""
    reason: str = ""


def webhook_key(settings: Settings) -> str:
    """The public key of SendGrid's webhooks. The sandbox's counts only while SendGrid is the sandbox."""
    if sandboxed(settings, settings.sendgrid_api_key):
        return keys.SENDGRID_WEBHOOK_KEY
    return settings.sendgrid_webhook_key.get_secret_value()


def read_events(raw: bytes, signature: str, timestamp: str, key: str, now: float) -> tuple[MailEvent, ...]:
    """The events in a webhook. `now` is in epoch seconds. Raises WebhookRejected."""
    if not key:
        raise WebhookRejected(
            "sendgrid: webhooks cannot be checked without their key; set SENDGRID_WEBHOOK_KEY"
        )
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    public = _public_key(key)
    try:
        proof = base64.b64decode(signature, validate=True)
        public.verify(proof, timestamp.encode() + raw, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        raise WebhookRejected(
            "sendgrid: the signature does not match the body; compare SENDGRID_WEBHOOK_KEY with SendGrid's"
        ) from None
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(float(timestamp[:12]) - now) > TOLERANCE:
        raise WebhookRejected("sendgrid: the webhook is signed for another time; compare the clocks")
    return tuple(
        MailEvent(_KINDS[event.event], event.email, text_or_empty(event.job_id), _permanent(event))
        for event in body("sendgrid", raw, list[_Event])
        if event.event in _KINDS and event.email
    )


def _permanent(event: _Event) -> bool:
    if event.event == "bounce":
        # `blocked` is the server's mood (a policy, a full mailbox), not the address.
        return event.type != "blocked"
    return event.event == "dropped" and event.reason.lower().startswith(_DROPPED_FOR_GOOD)


@lru_cache(maxsize=4)
def _public_key(key: str) -> EllipticCurvePublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        loaded = load_der_public_key(base64.b64decode(key, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        loaded = None
    if not isinstance(loaded, EllipticCurvePublicKey):
        raise WebhookRejected(
            "sendgrid: SENDGRID_WEBHOOK_KEY is no public key; copy it from SendGrid's page as it is"
        )
    return loaded
