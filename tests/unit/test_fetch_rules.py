from __future__ import annotations

import httpx2
import pytest

from corral.providers.addresses import Allowance
from corral.providers.errors import FetchBlocked, FetchRefused
from corral.providers.fetch import classify
from corral.providers.urls import check_url, is_example, literal_refusal
from corral.providers.verdict import Answer, Kind

NOBODY = Allowance()


@pytest.mark.parametrize(
    "url",
    [
        "http://cdn.example.org/a.jpg",
        "https://cdn.example.org/a.jpg?w=1#part",
        "https://cdn.example.org:443/a.jpg",
        "http://cdn.example.org:80/",
        "HTTPS://CDN.EXAMPLE.ORG/a.jpg",
        "https://bücher.example.org/a.jpg",
    ],
)
def test_an_ordinary_url_passes(url: str) -> None:
    assert check_url(url, NOBODY).scheme in ("http", "https")


def test_the_fragment_is_not_sent() -> None:
    assert str(check_url("https://cdn.example.org/a.jpg#part", NOBODY)) == "https://cdn.example.org/a.jpg"


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("ftp://example.org/a.jpg", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://example.org:70/", "scheme"),
        ("data:image/png;base64,AAAA", "scheme"),
        ("//example.org/a.jpg", "scheme"),
        ("a.jpg", "scheme"),
        ("http:///a.jpg", "scheme"),
        ("http://user@example.org/", "user name"),
        ("http://user:word@example.org/", "user name"),
        ("http://example.org:22/", "port 22"),
        ("http://example.org:8080/", "port 8080"),
        ("https://example.org:6379/", "port 6379"),
    ],
)
def test_an_odd_scheme_port_or_user_name_is_blocked(url: str, word: str) -> None:
    with pytest.raises(FetchBlocked, match=word):
        check_url(url, NOBODY)


@pytest.mark.parametrize(
    "url", ["http://exa mple.org/", "http://[::1/", "http://0177.0.0.1/", "https://e.org/" + "a" * 2048]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(FetchRefused):
        check_url(url, NOBODY)


def test_an_allowed_host_may_use_its_port() -> None:
    assert check_url("http://files.internal:9000/a", Allowance.of(["files.internal:9000"])).port == 9000


def test_a_redirect_is_judged_like_a_first_url() -> None:
    base = httpx2.URL("https://cdn.example.org/a/b.jpg")
    assert str(check_url("../c.jpg", NOBODY, base=base)) == "https://cdn.example.org/c.jpg"
    assert str(check_url("//other.example.org/c.jpg", NOBODY, base=base)) == "https://other.example.org/c.jpg"
    with pytest.raises(FetchBlocked):
        check_url("http://cdn.example.org:6379/", NOBODY, base=base)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("example.com", True),
        ("docs.example.com", True),
        ("DOCS.EXAMPLE.COM.", True),
        ("notexample.com", False),
        ("example.com.evil.org", False),
        ("example.org", False),
    ],
)
def test_only_names_under_example_com_are_the_sandbox(host: str, expected: bool) -> None:
    assert is_example(host) is expected


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, Kind.OK),
        (204, Kind.PERMANENT),
        (206, Kind.PERMANENT),
        (304, Kind.PERMANENT),
        (401, Kind.PERMANENT),
        (403, Kind.PERMANENT),
        (404, Kind.PERMANENT),
        (408, Kind.RETRY),
        (410, Kind.PERMANENT),
        (429, Kind.RETRY),
        (500, Kind.RETRY),
        (501, Kind.PERMANENT),
        (503, Kind.RETRY),
    ],
)
def test_a_strangers_status(status: int, kind: Kind) -> None:
    assert classify(Answer(status)).kind is kind


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0/",
        "http://10.1.2.3/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost/",
        "http://a.localhost./",
    ],
)
def test_a_literal_inside_address_is_seen_before_anything_is_resolved(url: str) -> None:
    assert literal_refusal(httpx2.URL(url), NOBODY)


@pytest.mark.parametrize(
    "url", ["http://93.184.215.14/", "https://cdn.example.org/", "http://10.example.org/"]
)
def test_names_and_public_addresses_are_left_to_the_connection(url: str) -> None:
    assert literal_refusal(httpx2.URL(url), NOBODY) is None


def test_an_allowed_literal_address_passes() -> None:
    assert literal_refusal(httpx2.URL("http://127.0.0.1:8080/"), Allowance.of(["127.0.0.1:8080"])) is None
