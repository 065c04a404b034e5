"""Signature Version 4 against the examples that AWS publishes for S3 (24 May 2013, examplebucket)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from corral.providers.sigv4 import Credentials, canonical_request, encoded_path, sign, signature

#: Published with the examples; they open nothing.
CREDENTIALS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
HOST = {"Host": "examplebucket.s3.amazonaws.com"}
NOW = datetime(2013, 5, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "content", "expected"),
    [
        (
            "GET",
            "/test.txt",
            [],
            {"Range": "bytes=0-9"},
            b"",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test$file.text",
            [],
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/",
            [("lifecycle", "")],
            {},
            b"",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/",
            [("prefix", "J"), ("max-keys", "2")],
            {},
            b"",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
    ids=["get-object", "put-object", "get-bucket-lifecycle", "list-objects"],
)
def test_the_published_examples_come_out(
    method: str,
    path: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    content: bytes,
    expected: str,
) -> None:
    signed = sign(CREDENTIALS, method, path, HOST | headers, content, NOW, query)
    assert signed["authorization"].endswith(f",Signature={expected}")


def test_the_header_has_the_published_form() -> None:
    signed = sign(CREDENTIALS, "GET", "/test.txt", HOST | {"Range": "bytes=0-9"}, b"", NOW)
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )
    assert signed["x-amz-date"] == "20130524T000000Z"


def test_a_clock_in_another_zone_signs_the_same_moment() -> None:
    here, there = (
        sign(CREDENTIALS, "GET", "/", HOST, b"", now)
        for now in (NOW, NOW.astimezone(timezone(timedelta(hours=-7))))
    )
    assert here == there


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"},
        {"path": "/other"},
        {"query": [("a", "c")]},
        {"signed": {"host": "h", "x-amz-date": "20130524T000001Z"}},
        {"payload_hash": "1"},
    ],
)
def test_every_part_of_a_request_is_signed(change: dict[str, object]) -> None:
    parts: dict[str, object] = {
        "method": "PUT",
        "path": "/file",
        "query": [("a", "b")],
        "signed": {"host": "h", "x-amz-date": "20130524T000000Z"},
        "payload_hash": "0",
    }
    whole, changed = (canonical_request(**p) for p in (parts, parts | change))  # type: ignore[arg-type]  # as above
    stamp = "20130524T000000Z"
    assert signature(CREDENTIALS, stamp, whole) != signature(CREDENTIALS, stamp, changed)


def test_a_path_is_encoded_once_and_keeps_its_slashes() -> None:
    assert encoded_path("/a b/Jörg/100%~x_-.webp") == "/a%20b/J%C3%B6rg/100%25~x_-.webp"
