"""S3's stand-in: one bucket, addressed by path; uploads signed by Signature Version 4, public reads.

The signature is checked as S3 does it: the key, the region, the clock (15 minutes), the hash of the body, and
the signature over all of it, each with S3's own error.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from corral.providers.sigv4 import ALGORITHM, Credentials, canonical_request, signature
from corral.sandbox import keys
from corral.sandbox.files import Files, StoredFile
from corral.sandbox.outbox import Outbox
from corral.sandbox.wire import Reply, Request

BASE = "/s3"
#: Seconds that a request's time may be off.
MAX_SKEW = 15 * 60

_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=(?P<key>[^/,]+)/(?P<day>\d{{8}})/(?P<region>[^/,]+)/s3/aws4_request, ?"
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_CREDENTIALS = Credentials(keys.S3_ACCESS_KEY_ID, keys.S3_SECRET_ACCESS_KEY, keys.S3_REGION)


class S3StandIn:
    """Objects in memory."""

    provider = "s3"

    def __init__(self, outbox: Outbox, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._outbox = outbox
        self._clock = clock
        self._files = Files()

    def answer(self, request: Request) -> Reply:
        bucket, _, key = request.path.lstrip("/").partition("/")
        if request.method == "GET" and "authorization" not in request.headers:
            return self._read(bucket, key)
        if request.method not in ("GET", "PUT"):
            return _error(
                405, "MethodNotAllowed", "The specified method is not allowed against this resource."
            )
        if refusal := refused(request, self._clock()):
            return refusal
        if bucket != keys.S3_BUCKET:
            return _error(404, "NoSuchBucket", "The specified bucket does not exist")
        if request.method == "GET":
            return self._read(bucket, key)
        if not key or len(key.encode()) > 1024:
            return _error(400, "KeyTooLongError", "Your key is too long")
        return self._write(bucket, key, request)

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                return _error(
                    401, "InvalidAccessKeyId", "The key you provided does not exist in our records."
                )
            case 429 | 503:
                return _error(status, "SlowDown", "Please reduce your request rate.", {"retry-after": "1"})
            case 403:
                return _error(403, "AccessDenied", "Access Denied")
            case _:
                return _error(status, "InternalError", "We encountered an internal error. Please try again.")

    def _write(self, bucket: str, key: str, request: Request) -> Reply:
        file = StoredFile(
            request.body,
            request.headers.get("content-type", "binary/octet-stream"),
            request.headers.get("cache-control", ""),
        )
        self._files.put(key, file)
        self._outbox.record(
            self.provider,
            "upload",
            key=key,
            type=file.media_type,
            bytes=len(file.content),
            preview=f"{BASE}/{bucket}/{key}",
        )
        etag = hashlib.md5(file.content, usedforsecurity=False).hexdigest()
        return Reply(200, None, {"etag": f'"{etag}"'})

    def _read(self, bucket: str, key: str) -> Reply:
        file = self._files.get(key) if bucket == keys.S3_BUCKET else None
        if file is None:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        return Reply(200, file.content, file.headers())


def refused(request: Request, now: datetime) -> Reply | None:
    """Why the request is not believed, or None. Pure."""
    found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        return _error(403, "AccessDenied", "Access Denied")
    if found["key"] != _CREDENTIALS.access_key_id:
        return _error(403, "InvalidAccessKeyId", "The key you provided does not exist in our records.")
    if found["region"] != _CREDENTIALS.region:
        text = f"the region '{found['region']}' is wrong; expecting '{_CREDENTIALS.region}'"
        return _error(400, "AuthorizationHeaderMalformed", f"The authorization header is malformed; {text}")
    stamp, payload = request.headers.get("x-amz-date", ""), request.headers.get("x-amz-content-sha256", "")
    names = found["names"].split(";")
    if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names) or stamp[:8] != found["day"]:
        return _error(403, "AccessDenied", "There were headers present in the request which were not signed")
    if (sent := _moment(stamp)) is None or abs((now - sent).total_seconds()) > MAX_SKEW:
        return _error(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
    if payload != hashlib.sha256(request.body).hexdigest():
        return _error(
            400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match."
        )
    signed = {name: request.headers.get(name, "") for name in names}
    canonical = canonical_request(request.method, BASE + request.path, request.query, signed, payload)
    if not hmac.compare_digest(signature(_CREDENTIALS, stamp, canonical), found["signature"]):
        return _error(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        )
    return None


def _moment(stamp: str) -> datetime | None:
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Reply:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message><RequestId>SANDBOX</RequestId></Error>"
    )
    return Reply(status, body.encode(), {"content-type": "application/xml", **(headers or {})})
