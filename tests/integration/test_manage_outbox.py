"""The outbox in the management API: what a sandbox received, who sees it, and that it leads nowhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from standins import running

from corral import Settings
from corral.api.server import HttpServer
from corral.bullmq.connection import close_shared_clients
from corral.dashboard.app import Dashboard
from corral.dashboard.users import Users, hash_password
from corral.sandbox import keys
from corral.sandbox.letters import Accepted, record
from corral.sandbox.server import RunningSandbox

PASSWORD = "correct horse battery"
OUTBOX = "/api/v1/outbox"
CHANGE = {"x-corral-dashboard": "1"}
SCRIPT = '<p style="color:red">Hello</p><script>alert(1)</script><img src="https://evil.example.net/x.png">'


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        box = server.app.outbox
        mail = Accepted(
            "shop@example.com", ("ada@example.com",), "7", "m", subject="Receipt", html=SCRIPT, text="Hello"
        )
        record(box, "sendgrid", mail)
        box.record("fcm", "push", token="…ab", title="Shipped", body="It is on its way")
        box.record("twilio", "sms", to="…42", body="Your code is 123456")
        box.record("hooks", "order.paid", id="w-1", verified=True, path="/hooks/200")
        box.record("posthog", "batch", events=3, repeats=0, names={"seen": 3})
        yield server


@asynccontextmanager
async def dashboard(redis_url: str, sandbox_url: str) -> AsyncIterator[str]:
    hashed = hash_password(PASSWORD)
    users = Users.parse(f"ada:{hashed}:admin,vi:{hashed}:viewer")
    settings = Settings(_env_file=None, redis_url=redis_url, sandbox_url=sandbox_url)
    async with HttpServer(Dashboard(settings, users, {}), name="dashboard", port=0) as server:
        yield server.url
    await close_shared_clients()


@asynccontextmanager
async def as_user(url: str, user: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=20) as http:
        answer = await http.post("/session", json={"user": user, "password": PASSWORD}, headers=CHANGE)
        assert answer.status_code == 200
        yield http


@pytest.fixture
async def url(redis_url: str, sandbox: RunningSandbox) -> AsyncIterator[str]:
    async with dashboard(redis_url, sandbox.url) as made:
        yield made


@pytest.fixture
async def ada(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with as_user(url, "ada") as http:
        yield http


async def listed(http: httpx2.AsyncClient, **query: Any) -> Any:
    answer = await http.get(OUTBOX, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_was_received_is_listed_newest_first(ada: httpx2.AsyncClient) -> None:
    found = await listed(ada)
    assert [row["kind"] for row in found["entries"]] == ["row", "webhook", "sms", "push", "mail"]
    assert found["kinds"] == {"row": 1, "webhook": 1, "sms": 1, "push": 1, "mail": 1}
    assert (found["kept"], found["before"], found["redacted"]) == (5, None, False)
    mail = found["entries"][-1]
    assert (mail["number"], mail["to"], mail["title"]) == (0, "a…@example.com", "Receipt")
    assert (await ada.get("/session")).json()["sandbox"] is True


async def test_it_is_narrowed_by_kind_and_recipient_and_paged(ada: httpx2.AsyncClient) -> None:
    assert [row["title"] for row in (await listed(ada, kind="push"))["entries"]] == ["Shipped"]
    found = await listed(ada, to="EXAMPLE.com")
    assert ([row["kind"] for row in found["entries"]], found["kinds"]) == (["mail"], {"mail": 1})
    first = await listed(ada, limit=2)
    assert ([row["number"] for row in first["entries"]], first["before"]) == ([4, 3], 3)
    rest = await listed(ada, before=first["before"], limit=10)
    assert ([row["number"] for row in rest["entries"]], rest["before"]) == ([2, 1, 0], None)


async def test_a_mail_is_shown_whole_and_its_html_can_do_nothing(ada: httpx2.AsyncClient) -> None:
    mail = (await ada.get(f"{OUTBOX}/0")).json()
    assert (mail["text"], mail["html"], mail["picture"]) == ("Hello", SCRIPT, False)
    assert {"name": "sender", "value": "s…@example.com"} in mail["facts"]
    shown = await ada.get(f"{OUTBOX}/0/html")
    assert (shown.text, shown.headers["content-type"]) == (SCRIPT, "text/html; charset=utf-8")
    (policy,) = shown.headers.get_list("content-security-policy")
    assert {part.strip() for part in policy.split(";")} >= {"sandbox", "default-src 'none'", "img-src data:"}
    assert "script-src" not in policy
    assert "allow-" not in policy
    for gone in (f"{OUTBOX}/99", f"{OUTBOX}/0/picture", f"{OUTBOX}/99/html"):
        assert (await ada.get(gone)).status_code == 404


async def test_an_uploaded_picture_is_shown(ada: httpx2.AsyncClient, sandbox: RunningSandbox) -> None:
    uploads = f"{sandbox.url}/supabase/storage/v1/object/images"
    auth = {"apikey": keys.SUPABASE_SERVICE_KEY}
    async with httpx2.AsyncClient(trust_env=False) as http:
        for name, kind in (("cat.png", "image/png"), ("cat.svg", "image/svg+xml")):
            headers = {**auth, "Content-Type": kind}
            (await http.post(f"{uploads}/{name}", content=b"cat", headers=headers)).raise_for_status()
    svg, png = (row["number"] for row in (await listed(ada, kind="image"))["entries"])
    assert (await ada.get(f"{OUTBOX}/{png}")).json()["picture"] is True
    shown = await ada.get(f"{OUTBOX}/{png}/picture")
    assert (shown.content, shown.headers["content-type"]) == (b"cat", "image/png")
    # One of these can hold a script, so it is not shown.
    assert (await ada.get(f"{OUTBOX}/{svg}/picture")).status_code == 404


async def test_without_the_right_nothing_personal_is_shown(url: str) -> None:
    async with as_user(url, "vi") as vi:
        found = await listed(vi, kind="mail")
        assert [(row["to"], row["title"], row["provider"]) for row in found["entries"]] == [
            (None, None, "sendgrid")
        ]
        assert found["redacted"] is True
        assert "Receipt" not in str(found)
        assert (await vi.get(OUTBOX, params={"to": "ada"})).status_code == 403
        for path in ("0", "0/html", "0/picture"):
            assert (await vi.get(f"{OUTBOX}/{path}")).status_code == 403


async def test_without_a_sandbox_there_is_no_outbox(redis_url: str) -> None:
    async with dashboard(redis_url, "") as url, as_user(url, "ada") as http:
        assert (await http.get("/session")).json()["sandbox"] is False
        answer = await http.get(OUTBOX)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:corral:problem:no-sandbox")
        assert (await http.get(f"{OUTBOX}/0")).status_code == 404


async def test_a_sandbox_that_has_ended_is_told(redis_url: str) -> None:
    with running() as ended:
        gone = ended.url
    async with dashboard(redis_url, gone) as url, as_user(url, "ada") as http:
        answer = await http.get(OUTBOX)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:corral:problem:sandbox-away")
