"""What the dashboard sends as pages: packed or plain, kept or asked for again, and who it says is here."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
import pytest
from test_dashboard_sign_in import CHANGE, HASH, PASSWORD, dashboard, serving, sign_in

from corral import Settings
from corral.bullmq.connection import close_shared_clients
from corral.dashboard import site
from corral.dashboard.app import Dashboard
from corral.dashboard.pages import built_pages
from corral.dashboard.users import User, UserRole, Users, role_and_grants

SCRIPT = "show('a dashboard'); " * 200
SCRIPT_AT = "/assets/app-1.js"
FILES = {
    "index.html": '<!doctype html><html lang="en"><title>the page</title></html>',
    "assets/app-1.js": SCRIPT,
    "assets/inter-1.woff2": "a font",
    "signin/index.html": '<!doctype html><html lang="en"><title>sign in</title></html>',
    "signin/theme.js": "theme()",
}
#: Each end of an attribute and of a script that a name could try.
HOSTILE = 'o\'neil "x" onload=alert(1) </script><script>alert(2)</script> &quot; \u2028'


@pytest.fixture(autouse=True)
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setattr(site, "built_pages", lambda: built_pages(tmp_path))
    return tmp_path


@pytest.fixture
async def http(redis_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(dashboard(redis_url)) as client:
        yield client
    await close_shared_clients()


class Root(HTMLParser):
    """Reads a page as a browser does: the attributes of its root, and the scripts in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.facts: dict[str, str | None] = {}
        self.scripts = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "html":
            self.facts = {name: value for name, value in attrs if name != "lang"}
        self.scripts += tag == "script"


async def raw(http: httpx2.AsyncClient, path: str, **headers: str) -> tuple[httpx2.Headers, bytes]:
    """The bytes as they came over the wire."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.stream("GET", path, headers={"accept-encoding": "identity"} | named) as answer:
        assert answer.status_code == 200, answer.status_code
        return answer.headers, b"".join([part async for part in answer.aiter_raw()])


TAKES_GZIP = ["gzip", "br, GZIP", "gzip, deflate, br, zstd", "*", "br;q=1, gzip;q=0.5", "gzip ; q=1"]


async def test_a_script_comes_packed_to_who_takes_it(
    http: httpx2.AsyncClient, subtests: pytest.Subtests
) -> None:
    await sign_in(http)
    for accepted in TAKES_GZIP:
        with subtests.test(accepted=accepted):
            headers, body = await raw(http, SCRIPT_AT, accept_encoding=accepted)
            assert headers["content-encoding"] == "gzip"
            assert headers["vary"] == "Accept-Encoding"
            assert headers["content-type"].split(";")[0] == "text/javascript"
            assert int(headers["content-length"]) == len(body) < len(SCRIPT)
            assert gzip.decompress(body).decode() == SCRIPT


TAKES_NO_GZIP = ["identity", "", "br", "gzip;q=0", "gzip; q=0.0, *", "*;q=0", "x-gzipped", "gzip;q=much"]


async def test_a_script_comes_plain_to_who_does_not(
    http: httpx2.AsyncClient, subtests: pytest.Subtests
) -> None:
    await sign_in(http)
    for accepted in TAKES_NO_GZIP:
        with subtests.test(accepted=accepted):
            headers, body = await raw(http, SCRIPT_AT, accept_encoding=accepted)
            assert "content-encoding" not in headers
            assert headers["vary"] == "Accept-Encoding"
            assert int(headers["content-length"]) == len(body)
            assert body.decode() == SCRIPT


@pytest.mark.parametrize("path", ["/assets/inter-1.woff2", "/", "/queues/reports"])
async def test_fonts_and_pages_come_as_they_are(http: httpx2.AsyncClient, path: str) -> None:
    await sign_in(http)
    headers, body = await raw(http, path, accept_encoding="gzip")
    assert "content-encoding" not in headers
    assert int(headers["content-length"]) == len(body)


async def test_the_packed_and_the_plain_have_tags_of_their_own(http: httpx2.AsyncClient) -> None:
    await sign_in(http)
    tags = {
        accepted: (await raw(http, SCRIPT_AT, accept_encoding=accepted))[0]["etag"]
        for accepted in ("gzip", "identity")
    }
    assert tags["gzip"] != tags["identity"]
    for accepted, tag in tags.items():
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            answer = await http.get(SCRIPT_AT, headers={"accept-encoding": accepted, "if-none-match": known})
            assert (answer.status_code, answer.content) == (304, b""), known
            assert answer.headers["etag"] == tag
            assert answer.headers["vary"] == "Accept-Encoding"
            assert "immutable" in answer.headers["cache-control"]
    answer = await http.get(SCRIPT_AT, headers={"accept-encoding": "gzip", "if-none-match": tags["identity"]})
    assert answer.status_code == 200


async def test_pages_are_asked_for_again_and_assets_kept(http: httpx2.AsyncClient) -> None:
    await sign_in(http)
    for path in ("/", "/queues/reports", "/signin/theme.js"):
        assert (await http.get(path)).headers["cache-control"] == "private, no-cache", path
    assert (await http.get(SCRIPT_AT)).headers["cache-control"] == "private, max-age=31536000, immutable"


async def test_the_page_says_who_is_signed_in_and_no_more(http: httpx2.AsyncClient) -> None:
    await sign_in(http, "vi")
    facts = Root((await http.get("/workers")).text).facts
    assert list(facts) == ["data-session"]
    said = json.loads(facts["data-session"] or "")
    assert said == (await http.get("/session")).json()
    assert said == {
        "user": "vi",
        "role": "viewer",
        "permissions": ["read_jobs", "read_description", "watch"],
        "environment": "production",
        "sandbox": False,
    }


async def test_nobody_gets_the_page_of_another(http: httpx2.AsyncClient) -> None:
    """The browser is the same, and so is the address."""
    tags: list[str] = []
    for user in ("ada", "vi"):
        await sign_in(http, user)
        answer = await http.get("/", headers={"if-none-match": ", ".join(tags)})
        assert answer.status_code == 200
        assert json.loads(Root(answer.text).facts["data-session"] or "")["user"] == user
        tags.append(answer.headers["etag"])
        assert (await http.delete("/session", headers=CHANGE)).status_code == 204
    answer = await http.get("/", headers={"if-none-match": ", ".join(tags)})
    assert answer.status_code == 200
    assert "<title>sign in</title>" in answer.text


@pytest.mark.parametrize("path", ["/", "/workers", "/queues/reports/jobs/1"])
async def test_signed_out_it_says_nothing(http: httpx2.AsyncClient, path: str) -> None:
    await sign_in(http)
    assert "data-session" in (await http.get(path)).text
    await http.delete("/session", headers=CHANGE)
    answer = await http.get(path)
    assert "<title>sign in</title>" in answer.text
    assert "data-session" not in answer.text
    assert "ada" not in answer.text


async def test_names_stay_text(redis_url: str) -> None:
    granted = role_and_grants("admin")
    assert granted is not None
    users = Users({HOSTILE: User(HOSTILE, UserRole.ADMIN, HASH, granted[1])})
    environment = '"><script>alert(3)</script>'
    settings = Settings(_env_file=None, redis_url=redis_url, environment=environment)
    async with serving(Dashboard(settings, users, {})) as client:
        assert (await sign_in(client, HOSTILE)).status_code == 200
        page = (await client.get("/")).text
    await close_shared_clients()
    root = Root(page)
    assert (list(root.facts), root.scripts) == (["data-session"], 0)
    said = json.loads(root.facts["data-session"] or "")
    assert (said["user"], said["environment"]) == (HOSTILE, environment)


async def test_what_failed_to_sign_in_stays_text(redis_url: str) -> None:
    """The name of the provider is said on the page for who is not signed in."""
    name = "\"o'neil</script><script>alert(1)"
    settings: dict[str, Any] = {
        "dashboard_oidc_issuer": "https://id.test",
        "dashboard_oidc_client_id": "corral",
        "dashboard_oidc_client_secret": "a secret of the client",
        "dashboard_oidc_name": name,
        "dashboard_oidc_roles": "ops:operator",
        "dashboard_url": "https://ops.test",
    }
    async with serving(dashboard(redis_url, **settings)) as client:
        page = (await client.get("/", headers={"host": "ops.test"})).text
    await close_shared_clients()
    root = Root(page)
    assert (root.facts, root.scripts) == ({"data-sso": name}, 0)


async def test_what_stands_in_a_page_is_allowed_by_its_hash_and_nothing_else(
    redis_url: str, pages: Path
) -> None:
    inside = "<script>\ntheme()</script><style>a{color:red}</style>"
    (pages / "index.html").write_text(f'<!doctype html><html lang="en">{inside}<p>the page</p></html>')
    built_pages.cache_clear()
    async with serving(dashboard(redis_url)) as client:
        await sign_in(client)
        page = await client.get("/")
        other = await client.get("/signin/theme.js")
    await close_shared_clients()
    built_pages.cache_clear()
    wanted = {
        kind: base64.b64encode(hashlib.sha256(text).digest()).decode()
        for kind, text in (("script", b"\ntheme()"), ("style", b"a{color:red}"))
    }
    policy = page.headers["content-security-policy"].split("; ")
    assert f"script-src 'self' 'sha256-{wanted['script']}'" in policy
    assert f"style-src 'self' 'sha256-{wanted['style']}'" in policy
    assert {"script-src 'self'", "style-src 'self'"} <= set(
        other.headers["content-security-policy"].split("; ")
    )


@pytest.mark.parametrize("missing", ["index.html", "signin/index.html"])
async def test_pages_that_were_not_built_say_what_to_do(redis_url: str, pages: Path, missing: str) -> None:
    (pages / missing).unlink()
    built_pages.cache_clear()
    async with serving(dashboard(redis_url)) as client:
        if missing == "index.html":
            await sign_in(client)
        for path in ("/", "/queues/reports"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:corral:problem:pages-not-built")
            assert "make setup" in answer.json()["detail"]
        assert (await client.get("/signin/none.js")).status_code == 404
        assert (await client.get("/healthz")).status_code == 200
    await close_shared_clients()


async def test_who_signs_in_without_any_page_built_may_use_the_api(redis_url: str, pages: Path) -> None:
    for name in FILES:
        (pages / name).unlink()
    built_pages.cache_clear()
    async with serving(dashboard(redis_url)) as client:
        assert (await client.get("/")).status_code == 503
        assert (await sign_in(client, password=PASSWORD)).status_code == 200
        assert (await client.get("/api/v1/audit")).status_code == 200
        assert (await client.get("/api/v1/nothing")).status_code == 404
        assert (await client.get("/")).status_code == 503
    await close_shared_clients()
