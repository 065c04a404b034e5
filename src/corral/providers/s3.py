"""S3 and what speaks its protocol (MinIO, Cloudflare R2, Ceph, Wasabi, …) as the place for finished images.

Guarantees: an upload replaces what was there, so a lost answer is a plain retry; the server compares the
bytes with a hash that is signed with them. A wrong key, bucket, region or clock holds the jobs and spends
none of their attempts.
Limits: one PUT a file, no multipart upload; one pair of long-lived keys, no session token. Whether a URL
opens without a key is the bucket's own policy; no access list is sent.

Options: S3_ENDPOINT (empty: Amazon's), S3_REGION, S3_BUCKET, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY,
S3_PUBLIC_URL. An endpoint with `{bucket}` in it is addressed by virtual host, any other by path; Amazon's
by virtual host, unless a dot in the bucket's name would break its certificate.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx2

from corral.providers.checking import accepted
from corral.providers.choice import Surroundings
from corral.providers.errors import ProviderMisconfigured, ProviderPermanent
from corral.providers.http import ProviderClient, read_answer
from corral.providers.sigv4 import Credentials, encoded_path, sign
from corral.providers.verdict import Answer, Kind, Verdict, by_status, safe_code
from corral.sandbox import keys

NAME = "s3"
NO_FILE = "corral-check/nothing"
#: Seconds that a browser or a CDN may keep an uploaded file.
CACHE_SECONDS = 3600
#: Bytes of a key.
MAX_KEY = 1024

_RETRY = frozenset(
    {
        "InternalError",
        "OperationAborted",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "TooManyRequests",
    }
)
#: What an operator repairs: keys, rights, bucket, region, and this machine's clock.
_MISCONFIGURED = frozenset(
    {
        "AccessDenied",
        "AccountProblem",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "IllegalLocationConstraintException",
        "InvalidAccessKeyId",
        "InvalidBucketName",
        "InvalidSecurity",
        "InvalidToken",
        "NoSuchBucket",
        "NotSignedUp",
        "PermanentRedirect",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
_XML = re.compile(r"<(Code|Message)>([^<]{0,500})</\1>")


class S3Target:
    """Files in one bucket."""

    name = NAME

    def __init__(
        self,
        *,
        endpoint: str,
        bucket: str,
        credentials: Credentials,
        public_url: str = "",
        missing: str = "",
        sandbox: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """endpoint: as S3_ENDPOINT. public_url: what a result's URL starts with; empty: the bucket's own."""
        self._base = bucket_url(endpoint, bucket)
        self._public = public_url.rstrip("/") or self._base
        self._credentials = credentials
        self._now = now
        self._client = ProviderClient(
            NAME,
            base_url=self._base,
            classify=classify,
            read=read_xml,
            secrets=[credentials.access_key_id, credentials.secret_access_key],
            missing=missing,
            sandbox=sandbox,
        )

    async def write(self, path: str, content: bytes, content_type: str = "application/octet-stream") -> str:
        """Store a file. Raises the four provider errors but Ambiguous."""
        if any(part in ("", ".", "..") for part in path.split("/")) or len(path.encode()) > MAX_KEY:
            raise ProviderPermanent(NAME, "a key has no empty, '.' or '..' part and at most 1,024 bytes")
        base = urlsplit(self._base)
        headers = {
            "Host": base.netloc,
            "Content-Type": content_type,
            "Cache-Control": f"public, max-age={CACHE_SECONDS}",
        }
        signed = sign(self._credentials, "PUT", f"{base.path}/{path}", headers, content, self._now())
        await self._client.send(
            "PUT", encoded_path(path), shown="/…", repeatable=True, content=content, headers=signed
        )
        return f"{self._public}/{encoded_path(path)}"

    async def check(self) -> None:
        """Whether the bucket is there and knows the key: reads a file that there is not.

        A key that may only write is refused that (AccessDenied) in a way that shows that it is known, and
        passes. Raises as `write` does. One round trip.
        """
        base = urlsplit(self._base)
        signed = sign(
            self._credentials, "GET", f"{base.path}/{NO_FILE}", {"Host": base.netloc}, b"", self._now()
        )
        try:
            with accepted():
                await self._client.send("GET", NO_FILE, repeatable=True, headers=signed)
        except ProviderMisconfigured as error:
            if error.code != "AccessDenied":
                raise

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def from_settings(around: Surroundings) -> S3Target:
    """The bucket that the settings name, or the sandbox's."""
    settings = around.settings
    key_id, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    if around.plays(settings.s3_bucket, key_id, secret):
        return S3Target(
            endpoint=f"{around.sandbox_url}/s3",
            bucket=keys.S3_BUCKET,
            credentials=Credentials(keys.S3_ACCESS_KEY_ID, keys.S3_SECRET_ACCESS_KEY, keys.S3_REGION),
            sandbox=True,
        )
    complete = settings.s3_bucket and key_id.get_secret_value() and secret.get_secret_value()
    missing = "there is no bucket; set S3_BUCKET, S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY"
    return S3Target(
        endpoint=settings.s3_endpoint or amazon(settings.s3_region, settings.s3_bucket),
        bucket=settings.s3_bucket,
        credentials=Credentials(key_id.get_secret_value(), secret.get_secret_value(), settings.s3_region),
        public_url=settings.s3_public_url,
        missing="" if complete else missing,
    )


# Decisions


def amazon(region: str, bucket: str) -> str:
    """Amazon's own endpoint of a region."""
    # A wildcard certificate covers one label, so a bucket with a dot cannot be part of the host name.
    return f"https://{'' if '.' in bucket else '{bucket}.'}s3.{region}.amazonaws.com"


def bucket_url(endpoint: str, bucket: str) -> str:
    """Where a bucket's files are: by virtual host if the endpoint says so, else by path."""
    endpoint = endpoint.rstrip("/")
    if "{bucket}" in endpoint:
        return endpoint.replace("{bucket}", bucket)
    return f"{endpoint}/{encoded_path(bucket)}"


def read_xml(response: httpx2.Response) -> Answer:
    """S3's errors are XML; two of their elements are read, by a pattern, since no answer needs more."""
    found = {name.lower(): text for name, text in _XML.findall(response.text)}
    answer = read_answer(response)
    return replace(answer, body=found or answer.body)


def classify(answer: Answer) -> Verdict:
    """S3's answers: the error's code wins over the HTTP status, which is 403 for a wrong clock, too."""
    if 200 <= answer.status < 300:
        return by_status(answer)
    name, detail = answer.text("code"), answer.text("message")
    code = safe_code(name, answer.status)
    if name in _RETRY:
        return Verdict(Kind.RETRY, code, detail, answer.retry_after)
    if name in _MISCONFIGURED:
        return Verdict(Kind.MISCONFIGURED, code, detail)
    if 300 <= answer.status < 400:
        return Verdict(Kind.MISCONFIGURED, code, "the bucket is elsewhere; check S3_ENDPOINT and S3_REGION")
    return by_status(answer, name, detail)
