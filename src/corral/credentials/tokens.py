"""Secrets of API keys: how a generated one looks, and what is kept of it. Pure, but for the random source.

`corral_`, 43 letters and digits that hold 256 random bits, and 6 that check them. The prefix lets secret
scanners find a key that was published by mistake; the check tells a typing error from a key that is unknown.

Kept is the SHA-256 digest. A slow hash, as for passwords, would protect secrets that can be guessed; 256
random bits cannot, by any number of tries, and a slow hash on each request would be a gift to who floods us.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "corral_"

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
#: 62 to the power of 43 is just above 2 to the power of 256; of 6, above the 32 bits of a CRC.
_RANDOM_CHARS, _CHECK_CHARS = 43, 6
_TOKEN = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{_RANDOM_CHARS}}})([0-9A-Za-z]{{{_CHECK_CHARS}}})")


def generate() -> str:
    """A new secret."""
    body = _base62(int.from_bytes(secrets.token_bytes(32)), _RANDOM_CHARS)
    return f"{PREFIX}{body}{_check(body)}"


def is_mistyped(token: str) -> bool:
    """Whether this begins as a generated secret does and cannot be one."""
    if not token.startswith(PREFIX):
        return False
    match = _TOKEN.fullmatch(token)
    return match is None or match[2] != _check(match[1])


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _check(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK_CHARS)


def _base62(number: int, width: int) -> str:
    characters = []
    for _ in range(width):
        number, rest = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[rest])
    return "".join(reversed(characters))
