"""Single sign-on against a real provider: who gets in, as whom, and every answer that lets nobody in."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
import pytest
from test_dashboard_sign_in import CHANGE, FILES, PASSWORD, USERS, dashboard, pages, serving, sign_in

from corral.bullmq.connection import close_shared_clients
from corral.dashboard import oidc
from corral.dashboard.app import Dashboard
from corral.dashboard.users import Users
from oidc_provider import CLIENT, SECRET, OidcProvider

__all__ = ["pages"]

FILES["signin/index.html"] = '<html lang="en"><title>sign in</title>'
HOME = "http://127.0.0.1:3002"


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    with OidcProvider(f"{HOME}/oidc/callback") as started:
        yield started


def with_provider(redis_url: str, provider: OidcProvider, **more: Any) -> Dashboard:
    settings: dict[str, Any] = {
        "dashboard_oidc_issuer": provider.issuer,
        "dashboard_oidc_client_id": CLIENT,
        "dashboard_oidc_client_secret": SECRET,
        "dashboard_oidc_name": "Acme & Co",
        "dashboard_oidc_roles": "ops:operator,heads:admin,auditors:viewer+payloads",
        **more,
    }
    return dashboard(redis_url, **settings)


@pytest.fixture
async def http(redis_url: str, provider: OidcProvider) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(with_provider(redis_url, provider)) as client:
        yield client
    await close_shared_clients()


async def begin(http: httpx2.AsyncClient, to: str = "/queues/reports?state=failed") -> str:
    """The address at the provider."""
    answer = await http.get("/oidc/start", params={"to": to})
    assert answer.status_code == 302
    return answer.headers["location"]


async def at_the_provider(url: str) -> str:
    """What the browser is sent back to, as a path here."""
    async with httpx2.AsyncClient(timeout=20) as browser:
        back = (await browser.get(url)).headers["location"]
    assert back.startswith(f"{HOME}/oidc/callback?")
    return back.removeprefix(HOME)


async def through(http: httpx2.AsyncClient, to: str = "/queues/reports?state=failed") -> httpx2.Response:
    return await http.get(await at_the_provider(await begin(http, to)))


def assert_nobody_came_in(answer: httpx2.Response, status: int, says: str) -> None:
    """It is the sign-in page, with a sentence, and no session."""
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (status, "text/html")
    assert "<title>sign in</title>" in answer.text
    assert says in answer.text
    assert "corral=" not in "".join(answer.headers.get_list("set-cookie"))


async def test_who_comes_back_from_the_provider_is_signed_in(
    http: httpx2.AsyncClient, redis: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    url = await begin(http)
    under_way = http.cookies["corral-oidc"]
    assert len(parse_qs(urlsplit(url).query)["code_challenge"][0]) == 43
    answer = await http.get(await at_the_provider(url))
    assert answer.status_code == 200
    assert 'content="0;url=/queues/reports?state=failed"' in answer.text
    session, gone = answer.headers.get_list("set-cookie")
    assert all(part in session.lower() for part in ("corral=", "httponly", "samesite=strict", "path=/"))
    assert gone.startswith(('corral-oidc=""', "corral-oidc=;"))
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    view = (await http.get("/session")).json()
    assert (view["user"], view["role"]) == ("ada@acme.test", "operator")
    assert "operate" in view["permissions"]
    assert "read_payloads" not in view["permissions"]
    said = "".join(capsys.readouterr())
    assert "ada@acme.test" not in said
    assert under_way not in said
    keys = [key async for key in redis.scan_iter("*")]
    assert not any("ada" in key for key in keys)
    assert (await http.post("/api/v1/queues/reports/pause", headers=CHANGE)).status_code == 200
    (entry,) = (await http.get("/api/v1/audit")).json()["entries"]
    assert entry["actor"] == "user:ada@acme.test"
    token = http.cookies["corral"]
    assert (await http.delete("/session", headers=CHANGE)).status_code == 204
    assert (await http.get("/session", headers={"cookie": f"corral={token}"})).status_code == 401


async def test_the_cookie_that_comes_along_from_another_site_is_lax_and_short(
    http: httpx2.AsyncClient,
) -> None:
    answer = await http.get("/oidc/start")
    (cookie,) = answer.headers.get_list("set-cookie")
    assert all(part in cookie.lower() for part in ("httponly", "samesite=lax", "path=/", "max-age=600"))


async def test_the_page_offers_it_by_name(http: httpx2.AsyncClient) -> None:
    assert 'data-sso="Acme &amp; Co"' in (await http.get("/")).text
    assert "data-passwords" not in (await http.get("/")).text


async def test_a_session_is_never_one_that_was_there_before(http: httpx2.AsyncClient) -> None:
    http.cookies.set("corral", "chosen-by-somebody-else", domain="127.0.0.1")
    await through(http)
    first = [cookie.value for cookie in http.cookies.jar if cookie.name == "corral"]
    await through(http)
    second = [cookie.value for cookie in http.cookies.jar if cookie.name == "corral"]
    assert len({*first, *second} - {"chosen-by-somebody-else"}) == 2
    answer = await http.get("/session", headers={"cookie": "corral=chosen-by-somebody-else"})
    assert answer.status_code == 401


WRONG: dict[str, dict[str, Any]] = {
    "nonce": {"nonce": "of another sign-in"},
    "no nonce": {"nonce": None},
    "audience": {"aud": "another-client"},
    "several audiences without a party": {"aud": [CLIENT, "another-client"]},
    "party": {"azp": "another-client"},
    "issuer": {"iss": "https://evil.test"},
    "expired": {"exp": int(time.time()) - 3_600},
    "no end": {"exp": None},
    "from the future": {"iat": int(time.time()) + 3_600},
    "no subject": {"sub": None},
}


@pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG)
async def test_a_token_that_is_not_for_this_sign_in_is_refused(
    http: httpx2.AsyncClient, provider: OidcProvider, claims: dict[str, Any]
) -> None:
    provider.change = lambda told: {k: v for k, v in {**told, **claims}.items() if v is not None}
    assert_nobody_came_in(await through(http), 401, "cannot be used")


def unsigned(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "", "none")


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "attack",
    ["none", "hs256 with the public key", "another's key", "changed claims", "no token", "key in it"],
)
async def test_a_token_that_the_provider_did_not_sign_is_refused(
    http: httpx2.AsyncClient, provider: OidcProvider, attack: str
) -> None:
    other = OidcProvider()
    other.key.kid = provider.key.kid

    def with_public_key(claims: dict[str, Any]) -> str:
        import hashlib
        import hmac

        signed = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': provider.key.kid})}.{part(claims)}"
        mac = hmac.digest(provider.key.pem, signed.encode(), hashlib.sha256)
        return f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"

    def changed(claims: dict[str, Any]) -> str:
        head, _, signature = provider.signed(claims).split(".")
        return f"{head}.{part({**claims, 'groups': ['heads']})}.{signature}"

    def with_its_key(claims: dict[str, Any]) -> str:
        headers = {"kid": "mine", "jwk": other.key.jwk(), "jku": f"{other.issuer}/keys"}
        return jwt.encode(claims, other.key.private, "RS256", headers=headers)

    provider.sign = {
        "none": unsigned, "hs256 with the public key": with_public_key, "another's key": other.signed,
        "changed claims": changed, "no token": lambda _: "a.b.c", "key in it": with_its_key,
    }[attack]  # fmt: skip
    other._server.server_close()
    assert_nobody_came_in(await through(http), 401, "cannot be used")


async def test_a_code_works_once(http: httpx2.AsyncClient) -> None:
    url = await begin(http)
    kept = http.cookies["corral-oidc"]
    back = await at_the_provider(url)
    assert (await http.get(back)).status_code == 200
    http.cookies.clear()
    again = await http.get(back, headers={"cookie": f"corral-oidc={kept}"})
    assert_nobody_came_in(again, 401, "cannot be used")


async def test_a_sign_in_begins_one_session_even_if_the_provider_took_its_code_again(
    http: httpx2.AsyncClient, provider: OidcProvider
) -> None:
    url = await begin(http)
    kept = {"cookie": f"corral-oidc={http.cookies['corral-oidc']}"}
    first, second = [await at_the_provider(url) for _ in range(2)]
    http.cookies.clear()
    assert (await http.get(first, headers=kept)).status_code == 200
    http.cookies.clear()
    assert_nobody_came_in(await http.get(second, headers=kept), 401, "used already")


async def test_a_sign_in_that_another_browser_began_is_refused(http: httpx2.AsyncClient) -> None:
    back = await at_the_provider(await begin(http))
    http.cookies.clear()
    assert_nobody_came_in(await http.get(back), 400, "not begun in this browser")
    await begin(http)  # this browser has one of its own under way
    assert_nobody_came_in(await http.get(back), 400, "not begun in this browser")


SENSELESS_COOKIES = ["", "x", "e30", "bnVsbA", "W10", "%ff", "é"]


async def test_a_cookie_that_makes_no_sense(http: httpx2.AsyncClient, subtests: pytest.Subtests) -> None:
    for cookie in SENSELESS_COOKIES:
        with subtests.test(cookie=cookie):
            headers = {b"cookie": f"corral-oidc={cookie}".encode()}
            answer = await http.get("/oidc/callback", params={"code": "1", "state": ""}, headers=headers)
            assert_nobody_came_in(answer, 400, "not begun in this browser")


async def test_what_the_provider_says_about_an_error_is_not_shown(
    http: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    state = parse_qs(urlsplit(await begin(http)).query)["state"][0]
    text = "<script>alert(1)</script>"
    query = {"state": state, "error": text, "error_description": text}
    answer = await http.get("/oidc/callback", params=query)
    assert_nobody_came_in(answer, 401, "Acme &amp; Co did not sign you in")
    assert "script>" not in answer.text
    assert "alert(1)" not in "".join(capsys.readouterr())


async def test_an_answer_of_another_provider_is_refused(http: httpx2.AsyncClient) -> None:
    back = await at_the_provider(await begin(http))
    url = str(httpx2.URL(back).copy_set_param("iss", "https://evil.test"))
    assert_nobody_came_in(await http.get(url), 401, "did not sign you in")


async def test_keys_rotate_and_a_made_up_key_is_looked_for_once_a_minute(
    http: httpx2.AsyncClient, provider: OidcProvider
) -> None:
    await through(http)
    provider.rotate()
    assert (await through(http)).status_code == 200
    assert provider.asked_for.count("/keys") == 2
    stranger = OidcProvider()
    stranger._server.server_close()
    provider.sign = stranger.signed
    for _ in range(3):
        assert_nobody_came_in(await through(http), 401, "cannot be used")
    assert provider.asked_for.count("/keys") == 2
    assert provider.asked_for.count("/.well-known/openid-configuration") == 1


async def test_after_the_minute_a_key_is_looked_for_again(
    http: httpx2.AsyncClient, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "LOOK_AGAIN_SECONDS", 0.0)
    await through(http)
    for _ in range(2):
        provider.rotate()
        assert (await through(http)).status_code == 200


async def test_while_the_provider_is_down_the_page_says_so(
    http: httpx2.AsyncClient, provider: OidcProvider
) -> None:
    back = await at_the_provider(await begin(http))
    provider.stop()
    assert_nobody_came_in(await http.get(back), 503, "Acme &amp; Co does not answer")
    assert (await sign_in(http)).status_code == 200  # with a password as ever


async def test_a_provider_that_is_down_from_the_start(redis_url: str, provider: OidcProvider) -> None:
    provider.stop()
    async with serving(with_provider(redis_url, provider)) as http:
        assert_nobody_came_in(await http.get("/oidc/start"), 503, "does not answer")
    await close_shared_clients()


async def test_a_wrong_client_secret_is_not_shown(
    redis_url: str, provider: OidcProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = with_provider(redis_url, provider, dashboard_oidc_client_secret="not-the-right-one")
    async with serving(wrong) as http:
        assert_nobody_came_in(await through(http), 503, "does not answer")
    assert "not-the-right-one" not in "".join(capsys.readouterr())
    await close_shared_clients()


@pytest.mark.parametrize(
    ("claims", "settings", "says"),
    [
        ({"groups": ["choir"]}, {}, "None of your groups"),
        ({"groups": None}, {}, "None of your groups"),
        ({"email_verified": False}, {}, "not verified"),
        ({"email_verified": "true"}, {}, "not verified"),
        ({"email": "ada@evil.test"}, {"dashboard_oidc_email_domains": "acme.test"}, "not of a domain"),
        (
            {"email": "ada@acme.test.evil.test"},
            {"dashboard_oidc_email_domains": "acme.test"},
            "not of a domain",
        ),
        ({"preferred_username": "a\nb"}, {"dashboard_oidc_user_claim": "preferred_username"}, "no name"),
        ({"preferred_username": "ada"}, {"dashboard_oidc_user_claim": "preferred_username"}, "has your name"),
    ],
)
async def test_who_may_not_come_in(
    redis_url: str, provider: OidcProvider, claims: dict[str, Any], settings: dict[str, Any], says: str
) -> None:
    provider.claims |= claims
    async with serving(with_provider(redis_url, provider, **settings)) as http:
        assert_nobody_came_in(await through(http), 403, says)
    await close_shared_clients()


OTHER_SITES = [
    "https://evil.test",
    "//evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "javascript:alert(1)",
    "/\t/evil.test",
    "evil.test",
    "/oidc/start",
    "/a\r\nset-cookie: a=b",
    "",
]


async def test_it_goes_on_to_no_other_site(http: httpx2.AsyncClient, subtests: pytest.Subtests) -> None:
    for to in OTHER_SITES:
        with subtests.test(to=to):
            answer = await through(http, to)
            assert 'content="0;url=/"' in answer.text
            assert "evil" not in answer.text


async def test_a_place_is_shown_as_text(http: httpx2.AsyncClient) -> None:
    answer = await through(http, '/queues/"><script>alert(1)</script>')
    assert "<script" not in answer.text
    assert "0;url=/queues/%22%3E%3Cscript%3E" in answer.text


async def test_a_session_keeps_to_the_roles_of_today(redis_url: str, provider: OidcProvider) -> None:
    async with serving(with_provider(redis_url, provider)) as http:
        await through(http)
        cookies = http.cookies
    later = {
        "ops:viewer": "viewer", "heads:admin": None, "ops:viewer,choir:admin": "viewer", "*:viewer": "viewer",
    }  # fmt: skip
    for roles, role in later.items():
        async with serving(with_provider(redis_url, provider, dashboard_oidc_roles=roles)) as http:
            answer = await http.get("/session", headers={"cookie": f"corral={cookies['corral']}"})
            assert answer.json().get("role") == role
    async with serving(dashboard(redis_url)) as http:  # single sign-on is off
        answer = await http.get("/session", headers={"cookie": f"corral={cookies['corral']}"})
        assert answer.status_code == 401
        assert (await http.get("/oidc/start")).text == FILES["signin/index.html"]
    await close_shared_clients()


async def test_passwords_can_be_switched_off(redis_url: str, provider: OidcProvider, tmp_path: Path) -> None:
    async with serving(dashboard(redis_url)) as http:
        await sign_in(http)
        session = http.cookies["corral"]
    settings = with_provider(redis_url, provider, dashboard_oidc_only=True).site.settings
    async with serving(Dashboard(settings, Users.of(settings), {})) as http:
        assert 'data-passwords="off"' in (await http.get("/")).text
        answer = await sign_in(http, password=PASSWORD)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:corral:problem:no-passwords")
        assert (await http.get("/session", headers={"cookie": f"corral={session}"})).status_code == 401
        assert (await through(http)).status_code == 200
    assert USERS.startswith("ada:")
    await close_shared_clients()
