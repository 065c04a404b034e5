"""The dashboard's door: who gets in, what they may, and what nobody gets without it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from corral import Settings
from corral.api.server import HttpServer
from corral.bullmq.connection import close_shared_clients
from corral.dashboard import site
from corral.dashboard.app import Dashboard
from corral.dashboard.pages import built_pages
from corral.dashboard.users import Users, hash_password
from redis_process import RedisProcess

PASSWORD = "correct horse battery"
HASH = hash_password(PASSWORD)
USERS = f"ada:{HASH}:admin,vi:{HASH}:viewer"
CHANGE = {"x-corral-dashboard": "1"}
FILES = {
    "index.html": "<title>the page</title>",
    "assets/app-1.js": "app()",
    "signin/index.html": "<title>sign in</title>",
    "signin/assets/signin-1.js": "signIn()",
}


@pytest.fixture(autouse=True)
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setattr(site, "built_pages", lambda: built_pages(tmp_path))


def dashboard(redis_url: str, *, users: str = USERS, **settings: Any) -> Dashboard:
    loaded = Settings(_env_file=None, redis_url=redis_url, dashboard_users=users, **settings)
    return Dashboard(loaded, Users.parse(users), {})


@asynccontextmanager
async def serving(app: Dashboard) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a served dashboard."""
    async with (
        HttpServer(app, name="dashboard", grace_seconds=1) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=20) as client,
    ):
        yield client


@pytest.fixture
async def http(redis_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(dashboard(redis_url)) as client:
        yield client
    await close_shared_clients()


async def sign_in(http: httpx2.AsyncClient, user: str = "ada", password: str = PASSWORD) -> httpx2.Response:
    return await http.post("/session", json={"user": user, "password": password}, headers=CHANGE)


async def test_who_signs_in_gets_a_session_and_who_signs_out_loses_it(http: httpx2.AsyncClient) -> None:
    answer = await sign_in(http)
    assert answer.status_code == 200
    assert answer.json()["user"] == "ada"
    assert "operate" in answer.json()["permissions"]
    cookie = answer.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/"))
    assert (await http.get("/session")).json() == answer.json()
    token = http.cookies["corral"]
    assert (await http.delete("/session", headers=CHANGE)).status_code == 204
    again = await http.get("/session", headers={"cookie": f"corral={token}"})
    assert (again.status_code, again.json()["type"]) == (401, "urn:corral:problem:not-signed-in")


WITHOUT_A_SESSION = [
    ("/", 200, "<title>sign in</title>"),
    ("/queues/reports", 200, "<title>sign in</title>"),
    ("/signin/assets/signin-1.js", 200, "signIn()"),
    ("/healthz", 200, '{"status":"ok"}'),
    ("/assets/app-1.js", 401, "not-signed-in"),
    ("/assets/none.js", 401, "not-signed-in"),
    ("/index.html", 401, "not-signed-in"),
    ("/session", 401, "not-signed-in"),
    ("/api/v1/audit", 401, "not-signed-in"),
    ("/api/v1/openapi.json", 401, "not-signed-in"),
    ("/api/v1/nothing", 404, "There is nothing here"),
    ("/signin/../index.html", 401, "not-signed-in"),
    ("/signin/%2e%2e/index.html", 200, "<title>sign in</title>"),
]


async def test_without_a_session(http: httpx2.AsyncClient, subtests: pytest.Subtests) -> None:
    for path, status, text in WITHOUT_A_SESSION:
        with subtests.test(path=path, status=status, text=text):
            answer = await http.get(path)
            assert (answer.status_code, text in answer.text) == (status, True)
            assert "the page" not in answer.text


async def test_with_a_session(http: httpx2.AsyncClient) -> None:
    await sign_in(http)
    page = await http.get("/queues/reports")
    assert (page.status_code, page.text) == (200, FILES["index.html"])
    assert page.headers["cache-control"] == "private, no-cache"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    asset = await http.get("/assets/app-1.js")
    assert (asset.text, asset.headers["content-type"].split(";")[0]) == ("app()", "text/javascript")
    assert "immutable" in asset.headers["cache-control"]
    same = await http.get("/assets/app-1.js", headers={"if-none-match": asset.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert (await http.get("/assets/none.js")).status_code == 404
    assert (await http.get("/api/v1/audit")).json() == {"entries": [], "searched": 0, "next": None}
    assert (await http.get("/api/v1/nothing")).status_code == 404


@pytest.mark.parametrize(
    ("user", "password"), [("ada", "wrong password"), ("nobody", PASSWORD), ("", ""), ("ada", "x" * 5_000)]
)
async def test_who_does_not_get_in(http: httpx2.AsyncClient, user: str, password: str) -> None:
    answer = await sign_in(http, user, password)
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:corral:problem:wrong-password")
    assert "set-cookie" not in answer.headers


SENSELESS = [b"", b"no", b"[]", b'{"user": "ada"}', b'{"user": 1, "password": 2}', b"\xff"]


async def test_a_body_that_makes_no_sense(http: httpx2.AsyncClient, subtests: pytest.Subtests) -> None:
    for body in SENSELESS:
        with subtests.test(body=body):
            answer = await http.post("/session", content=body, headers=CHANGE)
            assert answer.status_code == 422


async def test_after_five_attempts_there_is_a_pause_even_for_the_right_password(
    http: httpx2.AsyncClient, redis: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        assert (await sign_in(http, password="a wrong password")).status_code == 401
    answer = await sign_in(http)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert "a wrong password" not in "".join(capsys.readouterr())
    keys = [key async for key in redis.scan_iter("corral:*signin*")]
    assert len(keys) == 2
    assert not any("ada" in key for key in keys)
    for key in keys:  # the minute is over
        assert 0 < await redis.ttl(key) <= 60
        await redis.delete(key)
    assert (await sign_in(http)).status_code == 200


async def test_a_change_from_another_site_is_refused(http: httpx2.AsyncClient) -> None:
    await sign_in(http)
    for headers in ({}, CHANGE | {"origin": "https://evil.test"}, CHANGE | {"sec-fetch-site": "cross-site"}):
        assert (await http.delete("/session", headers=headers)).status_code == 403
        answer = await http.post("/session", json={"user": "ada", "password": PASSWORD}, headers=headers)
        assert answer.status_code == 403
    assert (await http.get("/session")).status_code == 200


async def test_redis_keeps_no_token_and_knows_a_stolen_database_nothing(
    http: httpx2.AsyncClient, redis: Any
) -> None:
    await sign_in(http)
    token = http.cookies["corral"]
    dump = [key async for key in redis.scan_iter("corral:*")]
    for key in list(dump):
        if await redis.type(key) == "hash":
            dump += (await redis.hgetall(key)).values()
        elif await redis.type(key) == "zset":
            dump += await redis.zrange(key, 0, -1)
    assert not any(token in text or PASSWORD in text for text in dump)
    (session,) = [key for key in dump if "::session:" in key]
    assert 0 < await redis.ttl(session) <= 12 * 3600


async def test_a_session_of_a_user_who_is_no_more_is_over(redis_url: str, http: httpx2.AsyncClient) -> None:
    await sign_in(http)
    loaded = Settings(_env_file=None, redis_url=redis_url, dashboard_users=USERS)
    without = Dashboard(loaded, Users.parse(f"vi:{HASH}:viewer"), {})
    async with serving(without) as client:
        client.cookies.update(http.cookies)
        assert (await client.get("/session")).status_code == 401


async def test_another_password_ends_the_sessions_of_its_user(
    redis_url: str, http: httpx2.AsyncClient
) -> None:
    await sign_in(http)
    loaded = Settings(_env_file=None, redis_url=redis_url, dashboard_users=USERS)
    changed = Users.parse(f"ada:{hash_password('another password')}:admin,vi:{HASH}:viewer")
    async with serving(Dashboard(loaded, changed, {})) as client:
        client.cookies.update(http.cookies)
        assert (await client.get("/session")).status_code == 401
    assert (await http.get("/session")).status_code == 200


async def test_behind_tls_the_cookie_is_for_tls_alone(redis_url: str) -> None:
    async with serving(dashboard(redis_url, dashboard_url="https://ops.test")) as client:
        answer = await sign_in(client)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-corral=")
    assert "secure" in cookie.lower()
    assert answer.headers["strict-transport-security"]
    await close_shared_clients()


async def test_while_redis_is_away_who_was_here_may_look_and_nobody_may_change() -> None:
    server_process = RedisProcess()
    server_process.start()
    async with serving(dashboard(server_process.url)) as client:
        await sign_in(client)
        assert (await client.get("/session")).status_code == 200
        server_process.stop()
        assert (await client.get("/")).text == FILES["index.html"]
        assert (await client.get("/session")).status_code == 200
        assert (await client.delete("/session", headers=CHANGE)).status_code == 503
        client.cookies.clear()
        assert (await client.get("/session", headers={"cookie": "corral=unknown"})).status_code == 503
        assert (await sign_in(client)).status_code == 503
    await close_shared_clients()
