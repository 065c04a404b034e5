"""Signatures of incoming webhooks: HMAC-SHA256 over the raw body, compared in constant time. Pure.

The raw bytes matter: JSON that was parsed and written again has another signature.
"""

from __future__ import annotations

import hashlib
import hmac

from corral.providers.errors import WebhookRejected


def sign(secret: str, raw: bytes) -> str:
    """The lowercase hexadecimal signature of a body."""
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def verify(provider: str, setting: str, secret: str, raw: bytes, signature: str) -> None:
    """Raise WebhookRejected unless `signature` is the body's. `setting` is named when there is no secret."""
    if not secret:
        raise WebhookRejected(f"{provider}: webhooks cannot be checked without their secret; set {setting}")
    # Bytes, because compare_digest refuses text that is not ASCII, and a header may hold anything.
    if not hmac.compare_digest(sign(secret, raw).encode(), signature.strip().lower().encode()):
        raise WebhookRejected(
            f"{provider}: the signature does not match the body; compare {setting} with the provider's"
        )
