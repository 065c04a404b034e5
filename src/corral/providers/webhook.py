"""Incoming webhooks: HMAC-SHA256 over the raw body, compared in constant time, then the JSON in it. Pure.

The raw bytes matter: JSON that was parsed and written again has another signature.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, TypeVar

import msgspec

from corral.providers.errors import WebhookRejected

T = TypeVar("T")

#: What a webhook becomes: the signal that the job waits for, and its payload (ids and states only).
Signal = tuple[str, dict[str, Any]]


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


def body(provider: str, raw: bytes, form: type[T]) -> T:
    """The JSON of a body whose signature was verified. Raises WebhookRejected if it is of another form."""
    try:
        return msgspec.json.decode(raw, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WebhookRejected(f"{provider}: the signed body is not of the form that is documented") from None
