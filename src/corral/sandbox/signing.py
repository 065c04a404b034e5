"""How the sandbox signs its webhooks: as each provider does, with the sandbox's own public keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from corral.sandbox import keys


def signed_headers(provider: str, raw: bytes) -> dict[str, str]:
    """The headers that prove `raw`. Mailgun's proof is in its body: see `mailgun_signature`."""
    match provider:
        case "onfido":
            return {"X-SHA2-Signature": _hmac(keys.ONFIDO_WEBHOOK_TOKEN, raw)}
        case "idenfy":
            return {"Idenfy-Signature": _hmac(keys.IDENFY_WEBHOOK_KEY, raw)}
        case "sendgrid":
            timestamp = str(int(time.time()))
            signature = _sendgrid_key().sign(timestamp.encode() + raw, ec.ECDSA(SHA256()))
            return {
                "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
                "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            }
    return {}


def mailgun_signature() -> dict[str, str]:
    """The `signature` of one Mailgun webhook."""
    timestamp, token = str(int(time.time())), secrets.token_hex(25)
    return {
        "timestamp": timestamp,
        "token": token,
        "signature": _hmac(keys.MAILGUN_WEBHOOK_KEY, (timestamp + token).encode()),
    }


def sendgrid_public_key() -> str:
    """What SendGrid's settings page shows for its signed webhook: DER in base64."""
    public = _sendgrid_key().public_key()
    return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@lru_cache(maxsize=1)
def _sendgrid_key() -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(hashlib.sha256(keys.SENDGRID_WEBHOOK_PHRASE.encode()).digest(), "big")
    return ec.derive_private_key(number, ec.SECP256R1())


def _hmac(secret: str, raw: bytes) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
