"""The outbox page as a browser gets it: what is on it, its filter, and that nothing leads out of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser

import httpx2
import pytest
from standins import running, talking_to

from corral.sandbox import keys
from corral.sandbox.outbox import Outbox
from corral.sandbox.server import RunningSandbox

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

HOSTILE = """</iframe></details><script>alert(1)</script><img src=x onerror=alert(2)>"><svg onload=alert(3)>
<link rel="stylesheet" href="https://evil.example.net/a.css">
<meta http-equiv="refresh" content="0;url=//evil.example.net">"""


class Elements(HTMLParser):
    """All start tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        record(server.app.outbox)
        yield server


@pytest.fixture
async def browser(sandbox: RunningSandbox) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=BROWSER, trust_env=False) as client:
        yield client


def record(outbox: Outbox) -> None:
    """One of each kind, oldest first."""
    outbox.record("onfido", "check", id="check-1", report_names=["document", "facial_similarity_photo"])
    outbox.record("onfido", "webhook", result="200")
    outbox.record("hooks", "job.completed", id="hook-1", verified=True)
    outbox.record("mail", "mail", to=["a…@example.com"], subject="Welcome", html="<p>Hello</p>", text="Hello")
    outbox.record("mail", "mail", subject=f"Hostile {HOSTILE}", html=HOSTILE, text=HOSTILE)
    outbox.record(
        "fcm", "push", title="Your picture is ready", body="Tap to look", data={"a": {"b": HOSTILE}}
    )
    outbox.record("twilio", "sms", to="…42", body="Your code was sent")
    outbox.record(
        "cloudflare",
        "upload",
        type="image/webp",
        bytes=1234567,
        preview="/cloudflare/imagedelivery/x/public",
    )
    outbox.record("supabase", "upsert", table="kyc_verifications", row={"status": "approved"})
    outbox.record("hostile", "upload", preview="/\\evil.example.net/pixel.gif", id="Slanted")
    elsewhere = "//evil.example.net/pixel.gif"
    outbox.record(HOSTILE, HOSTILE, preview=elsewhere, result="Strange", **{HOSTILE: HOSTILE})


async def page(browser: httpx2.AsyncClient, **query: str) -> Elements:
    answer = await browser.get("/outbox", params=query)
    assert answer.status_code == 200
    return Elements(answer.text)


async def test_a_browser_gets_a_page_and_a_program_gets_json(browser: httpx2.AsyncClient) -> None:
    answer = await browser.get("/outbox")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for accept in ("*/*", "application/json"):
        told = (await browser.get("/outbox", headers={"Accept": accept})).json()
        assert told["entries"][0]["id"] == "check-1"
        assert told["counts"]["onfido.check"] == 1
    assert {"href": "/outbox"}.items() <= next(
        link for link in Elements((await browser.get("/")).text).of("a") if link["href"] == "/outbox"
    ).items()
    assert "/outbox" in (await browser.get("/", headers={"Accept": "*/*"})).json()["see"]


async def test_everything_that_was_received_is_on_the_page_newest_first(browser: httpx2.AsyncClient) -> None:
    shown = await page(browser)
    for words in ("Welcome", "Your picture is ready", "Tap to look", "Your code was sent", "approved"):
        assert words in shown.text
    assert "1,234,567" in shown.text
    providers = [a["id"] for a in shown.of("h2")]
    assert len(providers) == 9
    order = [shown.text.index(words) for words in ("kyc_verifications", "Your code", "picture is", "check-1")]
    assert order == sorted(order)
    assert [image["src"] for image in shown.of("img")] == ["/cloudflare/imagedelivery/x/public"]


async def test_a_mail_is_rendered_in_a_frame_that_can_do_nothing(browser: httpx2.AsyncClient) -> None:
    shown = await page(browser, provider="mail")
    frames = shown.of("iframe")
    assert [frame["srcdoc"] for frame in frames] == [HOSTILE, "<p>Hello</p>"]
    # An empty list of permissions: no scripts, no forms, no pop-ups, no navigation of the page.
    assert all(frame["sandbox"] in (None, "") and "src" not in frame for frame in frames)


async def test_nothing_that_was_received_becomes_part_of_the_page(browser: httpx2.AsyncClient) -> None:
    shown = await page(browser)
    assert not shown.of("script")
    assert not [name for _, attributes in shown.tags for name in attributes if name.startswith("on")]
    assert [link.get("rel") for link in shown.of("link")] == ["icon"]
    assert all("http-equiv" not in meta for meta in shown.of("meta"))
    # Every address on the page is one of its own; "//host" would be another host's.
    for _, attributes in shown.tags:
        for name in ("src", "href", "action"):
            address = attributes.get(name)
            assert address is None or address.startswith("data:,") or address[0] == "/" != address[1:2]
    assert shown.text.count("alert(1)") >= 6


async def test_a_filter_that_was_typed_in_is_escaped_too(browser: httpx2.AsyncClient) -> None:
    shown = await page(browser, text=HOSTILE, provider=HOSTILE, kind=HOSTILE)
    assert not shown.of("script")
    assert next(field for field in shown.of("input") if field["name"] == "text")["value"] == HOSTILE


async def test_the_policy_allows_the_page_alone(browser: httpx2.AsyncClient) -> None:
    for path in ("/", "/outbox"):
        headers = (await browser.get(path)).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert "script-src" not in policy
        assert policy["img-src"] == "'self' data:"
        assert policy["form-action"] == policy["frame-src"] == "'self'"
        assert policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({"kind": "mail"}, ["Hostile", "Welcome"]),
        ({"kind": "sms"}, ["Your code was sent"]),
        ({"kind": "push"}, ["Your picture is ready"]),
        ({"kind": "check"}, ["check-1"]),
        ({"kind": "webhook"}, ["hook-1", "200"]),
        ({"kind": "image"}, ["Strange", "Slanted", "image/webp"]),
        ({"kind": "row"}, ["kyc_verifications"]),
        ({"provider": "onfido"}, ["200", "check-1"]),
        ({"provider": "onfido", "kind": "webhook"}, ["200"]),
        ({"text": "FACIAL"}, ["check-1"]),
        ({"text": "approved"}, ["kyc_verifications"]),
    ],
)
async def test_a_filter_leaves_what_was_asked_for(
    browser: httpx2.AsyncClient, query: dict[str, str], titles: list[str]
) -> None:
    answer = (await browser.get("/outbox", params=query)).text
    found = [part.split("</span>")[0].split()[0] for part in answer.split('<span class="title">')[1:]]
    assert found == [title.split()[0] for title in titles]


async def test_an_empty_outbox_and_an_empty_filter_say_so(browser: httpx2.AsyncClient) -> None:
    assert "Nothing passes this filter" in (await page(browser, text="no such thing")).text
    with running() as other:
        answer = httpx2.get(f"{other.url}/outbox", headers=BROWSER)
    assert "Nothing was sent yet" in answer.text


async def test_a_full_outbox_shows_the_newest_hundred(browser: httpx2.AsyncClient) -> None:
    with running() as other:
        for number in range(1100):
            other.app.outbox.record("twilio", "sms", body=f"message {number}.")
        shown = Elements(httpx2.get(f"{other.url}/outbox", headers=BROWSER).text)
    assert "message 1099." in shown.text
    assert "message 999." not in shown.text
    assert "The newest 100 of 1,000." in shown.text


async def test_what_real_providers_were_sent_is_there_with_its_picture(sandbox: RunningSandbox) -> None:
    async with talking_to(sandbox) as providers:
        fetched = await providers.fetcher.fetch("https://images.example.com/selfie.jpg")
        await providers.supabase.upload("images", "a/b.jpg", fetched.content, "image/jpeg")
    shown = Elements(httpx2.get(f"{sandbox.url}/outbox", params={"kind": "image"}, headers=BROWSER).text)
    preview = shown.of("img")[0]["src"]
    assert preview == "/supabase/storage/v1/object/public/images/a/b.jpg"
    assert httpx2.get(f"{sandbox.url}{preview}").content == fetched.content
    assert keys.SUPABASE_SERVICE_KEY not in str(sandbox.app.outbox.show())
