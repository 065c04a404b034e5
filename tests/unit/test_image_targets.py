"""What the answers of S3 and Cloudflare Images mean, and where files end up."""

from __future__ import annotations

import httpx2
import pytest

from corral.providers import cloudflare, s3
from corral.providers.errors import ProviderPermanent
from corral.providers.verdict import Answer, Kind


def xml(code: str, message: str = "Something") -> dict[str, str]:
    return {"code": code, "message": message}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (200, None, Kind.OK, "ok"),
        (503, xml("SlowDown"), Kind.RETRY, "SlowDown"),
        (503, None, Kind.RETRY, "HTTP 503"),
        (500, xml("InternalError"), Kind.RETRY, "InternalError"),
        (400, xml("RequestTimeout"), Kind.RETRY, "RequestTimeout"),
        (409, xml("OperationAborted"), Kind.RETRY, "OperationAborted"),
        (429, xml("TooManyRequests"), Kind.RETRY, "TooManyRequests"),
        (403, xml("AccessDenied"), Kind.MISCONFIGURED, "AccessDenied"),
        (403, xml("InvalidAccessKeyId"), Kind.MISCONFIGURED, "InvalidAccessKeyId"),
        (403, xml("SignatureDoesNotMatch"), Kind.MISCONFIGURED, "SignatureDoesNotMatch"),
        (403, xml("RequestTimeTooSkewed"), Kind.MISCONFIGURED, "RequestTimeTooSkewed"),
        (404, xml("NoSuchBucket"), Kind.MISCONFIGURED, "NoSuchBucket"),
        (400, xml("AuthorizationHeaderMalformed"), Kind.MISCONFIGURED, "AuthorizationHeaderMalformed"),
        (301, xml("PermanentRedirect"), Kind.MISCONFIGURED, "PermanentRedirect"),
        (307, None, Kind.MISCONFIGURED, "HTTP 307"),
        (400, xml("EntityTooLarge"), Kind.PERMANENT, "EntityTooLarge"),
        (400, xml("XAmzContentSHA256Mismatch"), Kind.PERMANENT, "XAmzContentSHA256Mismatch"),
        (400, xml("a code with blanks"), Kind.PERMANENT, "HTTP 400"),
        (501, xml("NotImplemented"), Kind.PERMANENT, "NotImplemented"),
    ],
)
def test_s3_is_judged_by_its_code(status: int, body: object, kind: Kind, code: str) -> None:
    verdict = s3.classify(Answer(status, body))
    assert (verdict.kind, verdict.code) == (kind, code)


def test_s3_says_how_long_to_wait() -> None:
    assert s3.classify(Answer(503, xml("SlowDown"), 7.0)).after == 7.0


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (
            b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Less &amp; less</Message></Error>',
            {"code": "SlowDown", "message": "Less &amp; less"},
        ),
        (b"<Error><Code>" + b"x" * 501 + b"</Code></Error>", None),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><Error><Code>&b;</Code></Error>', {"code": "&b;"}),
        (b"<html>502 Bad Gateway</html>", None),
        (b"\xff\xfe", None),
        (b"", None),
    ],
)
def test_two_elements_of_an_error_are_read_and_nothing_is_expanded(content: bytes, body: object) -> None:
    assert s3.read_xml(httpx2.Response(503, content=content)).body == body


@pytest.mark.parametrize(
    ("endpoint", "bucket", "url"),
    [
        ("http://127.0.0.1:9000/", "images", "http://127.0.0.1:9000/images"),
        ("https://{bucket}.s3.eu.example.com", "images", "https://images.s3.eu.example.com"),
        (s3.amazon("eu-central-1", "images"), "images", "https://images.s3.eu-central-1.amazonaws.com"),
        (s3.amazon("eu-central-1", "a.b"), "a.b", "https://s3.eu-central-1.amazonaws.com/a.b"),
    ],
)
def test_a_bucket_is_addressed_by_path_or_by_host(endpoint: str, bucket: str, url: str) -> None:
    assert s3.bucket_url(endpoint, bucket) == url


def failed(code: int, message: str = "Something") -> dict[str, object]:
    return {"success": False, "errors": [{"code": code, "message": message}], "result": None}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (200, {"success": True, "errors": [], "result": {}}, Kind.OK, "ok"),
        (429, failed(971), Kind.RETRY, "971"),
        (500, failed(5500), Kind.RETRY, "5500"),
        (502, None, Kind.RETRY, "HTTP 502"),
        (401, failed(10000), Kind.MISCONFIGURED, "10000"),
        (403, failed(9109), Kind.MISCONFIGURED, "9109"),
        (403, None, Kind.MISCONFIGURED, "HTTP 403"),
        (404, failed(7003), Kind.MISCONFIGURED, "7003"),
        (409, failed(5409), Kind.PERMANENT, "5409"),
        (415, failed(5455), Kind.PERMANENT, "5455"),
        (400, {"success": False, "errors": "no list"}, Kind.PERMANENT, "HTTP 400"),
        (400, {"success": False, "errors": [{"code": "text"}]}, Kind.PERMANENT, "HTTP 400"),
        (200, failed(5400), Kind.PERMANENT, "5400"),
        (200, failed(10000), Kind.MISCONFIGURED, "10000"),
    ],
)
def test_cloudflare_is_judged_by_its_number_and_status(
    status: int, body: object, kind: Kind, code: str
) -> None:
    verdict = cloudflare.classify(Answer(status, body))
    assert (verdict.kind, verdict.code) == (kind, code)


def test_an_image_id_is_made_from_its_path_and_its_bytes() -> None:
    first = cloudflare.image_id("profile/user-42/x/9x9.webp", b"bytes")
    assert first == cloudflare.image_id("profile/user-42/x/9x9.webp", b"bytes")
    assert first.startswith("profile-")
    assert "/" not in first
    assert "user-42" not in first
    others = {
        cloudflare.image_id("profile/user-43/x/9x9.webp", b"bytes"),
        cloudflare.image_id("profile/user-42/x/9x9.webp", b"other"),
    }
    assert len(others | {first}) == 3


def test_the_public_variant_is_handed_out_and_else_the_first() -> None:
    assert cloudflare.variant(["https://a/thumb", "https://a/public"]) == "https://a/public"
    assert cloudflare.variant(["https://a/thumb", "https://a/large"]) == "https://a/thumb"
    with pytest.raises(ProviderPermanent, match="no variant"):
        cloudflare.variant([])
