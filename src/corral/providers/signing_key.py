"""A private key on the curve P-256 from a setting, and the tokens that are signed with it (ES256). Pure.

APNs and Web Push both want these; each in a form of its own.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from corral.errors import ConfigurationError


def read_key(text: str, setting: str) -> EllipticCurvePrivateKey:
    """The key of a setting.

    text: PEM (line breaks may be written as \\n), a path to it, or base64url of the key's 32 bytes.
    Raises ConfigurationError, which names the setting and never quotes what it holds.
    """
    wrong = ConfigurationError(f"{setting} holds no private key on P-256, and no path to one")
    text = text.strip().replace("\\n", "\n")
    if "-----BEGIN" not in text:
        raw = from_base64url(text)
        if len(raw) == 32:
            try:
                return derive_private_key(int.from_bytes(raw, "big"), SECP256R1())
            except ValueError:
                raise wrong from None
        try:
            text = Path(text).read_text("utf-8")
        except (OSError, ValueError):
            raise wrong from None
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise wrong from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise wrong
    return key


def sign_token(
    key: EllipticCurvePrivateKey, claim: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> str:
    """A JSON Web Token."""
    return jwt.encode(dict(claim), key, algorithm="ES256", headers=dict(headers or {}))


def public_point(key: EllipticCurvePrivateKey) -> str:
    """The public key as browsers take it: base64url of the uncompressed point."""
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return to_base64url(point)


def to_base64url(raw: bytes) -> str:
    """Without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """With or without padding; b"" for what is no base64url."""
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
