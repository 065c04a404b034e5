"""AWS Signature Version 4: who sends a request, and that nobody changed it on its way. Pure.

Checked against the examples that AWS publishes for S3. The body is signed by its hash, which the server
compares, so a damaged upload is refused.

Limits: headers are signed as they are given; values with inner runs of white space are not collapsed. The
path is that of S3, encoded once; other services of AWS encode it twice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"

#: What RFC 3986 leaves as it is; everything else is written as %XX.
_UNRESERVED = "-._~"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair and what it is used for."""

    access_key_id: str
    secret_access_key: str
    region: str
    service: str = "s3"

    def scope(self, day: str) -> str:
        """Day (YYYYMMDD), region and service: a signature is good for these alone."""
        return f"{day}/{self.region}/{self.service}/aws4_request"


def sign(
    credentials: Credentials,
    method: str,
    path: str,
    headers: Mapping[str, str],
    content: bytes,
    now: datetime,
    query: Iterable[tuple[str, str]] = (),
) -> dict[str, str]:
    """The headers to send: `headers` and the three that sign them.

    path: decoded, with its leading slash. headers: all are signed; `Host` must be among them.
    """
    signed = {name.lower(): value for name, value in headers.items()}
    signed["x-amz-content-sha256"] = hashlib.sha256(content).hexdigest()
    signed["x-amz-date"] = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = ";".join(sorted(signed))
    request = canonical_request(method, path, query, signed, signed["x-amz-content-sha256"])
    scope = credentials.scope(signed["x-amz-date"][:8])
    signed["authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key_id}/{scope},SignedHeaders={names},"
        f"Signature={signature(credentials, signed['x-amz-date'], request)}"
    )
    return signed


def canonical_request(
    method: str, path: str, query: Iterable[tuple[str, str]], signed: Mapping[str, str], payload_hash: str
) -> str:
    """A request in the one form that both sides can write. `signed`: lowercase names."""
    lines = [f"{name}:{value.strip()}\n" for name, value in sorted(signed.items())]
    pairs = sorted((quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in query)
    return "\n".join(
        (
            method,
            encoded_path(path),
            "&".join(f"{name}={value}" for name, value in pairs),
            "".join(lines),
            ";".join(sorted(signed)),
            payload_hash,
        )
    )


def signature(credentials: Credentials, stamp: str, request: str) -> str:
    """The signature of a canonical request at `stamp` (YYYYMMDDTHHMMSSZ), in hexadecimal digits."""
    day = stamp[:8]
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in (day, credentials.region, credentials.service, "aws4_request"):
        key = _hmac(key, part)
    return _hmac(key, "\n".join((ALGORITHM, stamp, credentials.scope(day), digest))).hex()


def encoded_path(path: str) -> str:
    """A path as it is sent and signed."""
    return quote(path, safe=_UNRESERVED + "/")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
