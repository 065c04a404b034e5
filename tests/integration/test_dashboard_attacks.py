"""Attacks on the dashboard, each a test with its name. Routes are discovered: a new one is attacked too."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from attacked import CANARY, Route, every_route, everything, fill
from http_service import ADMIN, ENQUEUE, READ, Service
from http_service import serving as serving_api
from structlog.testing import capture_logs
from test_dashboard_sign_in import (
    CHANGE,
    FILES,
    HASH,
    PASSWORD,
    pages,
    serving,
    sign_in,
)  # fmt: skip

from corral import Queue, Settings
from corral.api.auth import GRANTS as KEY_GRANTS
from corral.api.auth import Permission, Role
from corral.bullmq.connection import close_shared_clients
from corral.dashboard.app import HEADERS, Dashboard
from corral.dashboard.users import GRANTS, UserRole, Users
from eventually import eventually

__all__ = ["pages"]

ROUTES = every_route()
UNSAFE = [route for route in ROUTES if not route.safe]
USERS = f"ada:{HASH}:admin,olu:{HASH}:operator,vi:{HASH}:viewer,pay:{HASH}:viewer+payloads"

#: Counts of attempts and sessions, which every request may touch.
OWN = ("::session:", "::signin:", "::browser:")


def attacked(redis_url: str, **more: Any) -> Dashboard:
    loaded = Settings(_env_file=None, redis_url=redis_url, dashboard_users=USERS, **more)
    return Dashboard(loaded, Users.parse(USERS), {})


@pytest.fixture
async def http(redis_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(attacked(redis_url)) as client:
        yield client
    await close_shared_clients()


async def ask(
    http: httpx2.AsyncClient, route: Route, headers: dict[str, str], **names: str
) -> httpx2.Response:
    body: dict[str, Any] | None = None if route.safe else {}
    request = http.build_request(route.method.upper(), route.at(**names), json=body, headers=headers)
    answer = await http.send(request, stream=True)
    if not (route.endless and answer.status_code == 200):
        await answer.aread()
    await answer.aclose()
    return answer


def slug(answer: httpx2.Response) -> str:
    """What kind of problem it is."""
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
    return str(answer.json()["type"]).removeprefix("urn:corral:problem:")


# Requests from other sites

FOREIGN = {
    "no header of ours": {},
    "another origin": CHANGE | {"origin": "https://evil.test"},
    "another port": CHANGE | {"origin": "http://127.0.0.1:1"},
    "no origin that has a name": CHANGE | {"origin": "null"},
    "our name before theirs": CHANGE | {"origin": "http://127.0.0.1@evil.test"},
    "cross-site": CHANGE | {"sec-fetch-site": "cross-site"},
    "same-site": CHANGE | {"sec-fetch-site": "same-site"},
    "the header with another value": {"x-corral-dashboard": "true"},
}


async def test_csrf_no_route_changes_anything_for_another_site(http: httpx2.AsyncClient, redis: Any) -> None:
    await sign_in(http)
    before = await everything(redis, *OWN)
    for route in UNSAFE:
        for attack, headers in FOREIGN.items():
            answer = await ask(http, route, headers)
            assert (answer.status_code, slug(answer)) == (403, "foreign-request"), (str(route), attack)
    assert await everything(redis, *OWN) == before
    assert len(UNSAFE) > 30


async def test_csrf_a_form_of_another_site_is_no_sign_in(http: httpx2.AsyncClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        body = f'{{"user": "ada", "password": "{PASSWORD}"}}'
        answer = await http.post("/session", content=body, headers={"content-type": kind})
        assert (answer.status_code, slug(answer)) == (403, "foreign-request")


async def test_no_answer_lets_another_origin_read_it(http: httpx2.AsyncClient) -> None:
    await sign_in(http)
    for method in ("GET", "OPTIONS"):
        headers = {"origin": "https://evil.test", "access-control-request-method": "POST"}
        answer = await http.request(method, "/api/v1/queues", headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("override", ["x-http-method-override", "x-http-method", "x-method-override"])
async def test_method_override_a_read_stays_a_read(
    http: httpx2.AsyncClient, redis: Any, make_queue: Any, override: str
) -> None:
    await make_queue("reports").add("build", {"n": 1})
    await sign_in(http)
    before = await everything(redis, *OWN)
    answer = await http.get(
        "/api/v1/queues/reports", headers={override: "DELETE"}, params={"_method": "DELETE"}
    )
    assert answer.status_code == 200
    assert (await http.get("/session", headers={override: "DELETE"})).status_code == 200
    assert (await http.get("/session")).status_code == 200
    assert await everything(redis, *OWN) == before


# Sessions


async def test_session_fixation_a_token_is_always_new_and_the_one_before_is_over(
    http: httpx2.AsyncClient,
) -> None:
    chosen = {"cookie": "corral=chosen-by-somebody-else", **CHANGE}
    body = {"user": "ada", "password": PASSWORD}
    answer = await http.post("/session", json=body, headers=chosen)
    first = http.cookies["corral"]
    assert answer.status_code == 200
    assert first != "chosen-by-somebody-else"
    assert (await http.get("/session", headers={"cookie": chosen["cookie"]})).status_code == 401
    await sign_in(http)
    second = http.cookies["corral"]
    assert second != first
    assert (await http.get("/session", headers={"cookie": f"corral={first}"})).status_code == 401
    assert (await http.get("/session", headers={"cookie": f"corral={second}"})).status_code == 200


async def test_sign_out_ends_the_session_on_the_server(redis_url: str, http: httpx2.AsyncClient) -> None:
    await sign_in(http)
    stolen = {"cookie": f"corral={http.cookies['corral']}"}
    async with serving(attacked(redis_url)) as another:  # a second process, which has seen the session
        assert (await another.get("/session", headers=stolen)).status_code == 200
        assert (await http.delete("/session", headers=CHANGE)).status_code == 204
        for client in (http, another):
            assert (await client.get("/session", headers=stolen)).status_code == 401
            assert (await client.get("/api/v1/queues", headers=stolen)).status_code == 401


@pytest.mark.parametrize("url", ["http://127.0.0.1:3002", "https://ops.test"])
async def test_cookie_flags(redis_url: str, url: str) -> None:
    secure = url.startswith("https")
    async with serving(attacked(redis_url, dashboard_url=url)) as http:
        answer = await sign_in(http)
        gone = await http.delete("/session", headers=CHANGE)
    for cookie in answer.headers.get_list("set-cookie"):
        said = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "samesite=strict", "path=/"} <= said
        assert ("secure" in said, cookie.startswith("__Host-")) == (secure, secure)
        assert not any(part.startswith("domain") for part in said)
    assert len(answer.headers.get_list("set-cookie")) == 2
    # A browser takes the removal of a __Host- cookie only if it is one itself.
    (removal,) = gone.headers.get_list("set-cookie")
    assert ("secure" in removal.lower()) == secure
    await close_shared_clients()


# Guessing passwords


def browser_at(app: Dashboard, address: str) -> httpx2.AsyncClient:
    """A browser at another address than that of this machine."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {}}, receive, send)

    transport = httpx2.ASGITransport(served, client=(address, 1))
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1")


async def test_brute_force_a_success_does_not_forget_what_went_wrong(http: httpx2.AsyncClient) -> None:
    for _ in range(4):
        assert (await sign_in(http, "ada", "a wrong password")).status_code == 401
    assert (await sign_in(http, "vi")).status_code == 200  # the attacker has an account
    http.cookies.clear()
    assert (await sign_in(http, "ada", "a wrong password")).status_code == 401
    assert (await sign_in(http, "ada", "a wrong password")).status_code == 429


async def test_brute_force_alternating_names_does_not_help(http: httpx2.AsyncClient) -> None:
    answers = [
        await sign_in(http, name, "a wrong password") for name in ("ada", "olu", "vi", "pay", "x", "y", "z")
    ]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2


async def test_brute_force_at_once_is_no_more_than_one_after_another(http: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(sign_in(http, "ada", f"wrong password {n}") for n in range(20)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 15


async def test_brute_force_from_many_addresses_is_throttled_by_name(redis_url: str) -> None:
    app = attacked(redis_url)
    said = []
    for number in range(30):
        async with browser_at(app, f"192.0.2.{number}") as http:
            said.append((await sign_in(http, "ada", "a wrong password")).status_code)
    assert said == [401] * 25 + [429] * 5
    await close_shared_clients()


async def test_brute_force_a_claimed_address_counts_for_nothing(http: httpx2.AsyncClient) -> None:
    body = {"user": "ada", "password": "a wrong password"}
    said = [
        (
            await http.post(
                "/session",
                json=body,
                headers=CHANGE | {"x-forwarded-for": f"192.0.2.{n}", "x-real-ip": f"192.0.2.{n}"},
            )
        ).status_code
        for n in range(7)
    ]
    assert said == [401] * 5 + [429] * 2


async def test_brute_force_locks_nobody_else_out(redis_url: str) -> None:
    app = attacked(redis_url)
    async with (
        browser_at(app, "192.0.2.1") as adas,
        browser_at(app, "192.0.2.1") as stranger,
        browser_at(app, "192.0.2.2") as elsewhere,
    ):
        assert (await sign_in(adas)).status_code == 200
        await adas.delete("/session", headers=CHANGE)
        for _ in range(6):
            last = await sign_in(stranger, "ada", "a wrong password")
        assert last.status_code == 429
        # One stranger throttles himself, not the name elsewhere; and not a browser that ada has been in with
        # before, even at the same address, as all are behind a proxy.
        assert (await sign_in(elsewhere)).status_code == 200
        assert (await sign_in(adas)).status_code == 200
        # The known browser is no way round the limit, and known for its own user only.
        adas.cookies.delete("corral")
        said = [(await sign_in(adas, "ada", "a wrong password")).status_code for _ in range(7)]
        assert said == [401] * 5 + [429] * 2
        assert (await sign_in(adas, "olu", "a wrong password")).status_code == 429
    await close_shared_clients()


async def test_an_unknown_user_costs_as_much_as_a_wrong_password(
    redis_url: str, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted, not timed: the same hashes with the same parameters, the same commands to Redis."""
    from corral.dashboard import users

    checked: list[str] = []
    verify = users._hasher.verify

    class Hasher:
        def verify(self, hashed: str, password: str) -> bool:
            checked.append(hashed.rpartition("$")[0].rpartition("$")[0])
            return verify(hashed, password)

    app = attacked(redis_url)
    monkeypatch.setattr(users, "_hasher", Hasher())
    commands: list[list[str]] = []
    async with serving(app) as http:
        for name in ("vi", "ada", "nobody-at-all"):  # the first opens the connection
            before = (await redis.info("commandstats")).items()
            answer = await sign_in(http, name, "a wrong password")
            after = await redis.info("commandstats")
            told = {k: v["calls"] for k, v in before}
            commands.append(
                sorted(
                    f"{k} {v['calls'] - told.get(k, 0)}"
                    for k, v in after.items()
                    if v["calls"] != told.get(k, 0) and "info" not in k
                )
            )
            assert (answer.status_code, slug(answer)) == (401, "wrong-password")
    await close_shared_clients()
    assert len(checked) == 3
    assert checked[1] == checked[2]
    assert commands[1] == commands[2]


# What every answer carries


async def answers_of_each_kind(http: httpx2.AsyncClient) -> dict[str, httpx2.Response]:
    out = httpx2.AsyncClient(base_url=http.base_url, timeout=20)
    async with out:
        kinds = {
            "sign-in page": await out.get("/"),
            "sign-in asset": await out.get("/signin/assets/signin-1.js"),
            "refused page": await out.get("/index.html"),
            "refused API": await out.get("/api/v1/queues"),
            "wrong password": await sign_in(out, "nobody", "a wrong password"),
            "health": await out.get("/healthz"),
            "another host": await out.get("/", headers={"host": "evil.test"}),
        }
    page = await http.get("/")
    return kinds | {
        "page": page,
        "304": await http.get("/", headers={"if-none-match": page.headers["etag"]}),
        "asset": await http.get("/assets/app-1.js"),
        "API": await http.get("/api/v1/queues"),
        "session": await http.get("/session"),
        "404": await http.get("/api/v1/nothing"),
        "405": await http.post("/healthz", headers=CHANGE),
        "422": await http.get("/api/v1/audit", params={"count": "many"}),
        "a refused change": await http.post("/api/v1/queues/reports/pause"),
        "HEAD": await http.head("/healthz"),
        "OPTIONS": await http.options("/api/v1/queues"),
    }


async def test_security_headers_are_on_every_kind_of_answer(http: httpx2.AsyncClient) -> None:
    await sign_in(http)
    kinds = await answers_of_each_kind(http)
    for kind, answer in kinds.items():
        for name, value in HEADERS:
            if name != b"cache-control":
                assert answer.headers.get_list(name.decode()) == [value.decode()], (kind, name)
        assert "server" not in answer.headers, kind
        assert "x-powered-by" not in answer.headers, kind
    assert kinds["304"].status_code == 304
    policy = kinds["page"].headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "*" not in policy
    for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
        assert part in policy


async def test_cache_headers_only_hashed_files_are_kept(http: httpx2.AsyncClient) -> None:
    await sign_in(http)
    lasting = "private, max-age=31536000, immutable"
    ours = "private, no-cache"
    wanted = {"page": ours, "304": ours, "sign-in page": ours, "asset": lasting, "sign-in asset": lasting}
    for kind, answer in (await answers_of_each_kind(http)).items():
        assert answer.headers["cache-control"] == wanted.get(kind, "no-store"), kind


async def test_the_page_of_one_who_is_signed_in_is_not_kept_for_one_who_is_not(
    http: httpx2.AsyncClient,
) -> None:
    await sign_in(http)
    etag = (await http.get("/queues")).headers["etag"]
    http.cookies.clear()
    answer = await http.get("/queues", headers={"if-none-match": etag})
    assert (answer.status_code, answer.text) == (200, FILES["signin/index.html"])


# Paths and hosts

PATHS = [
    "/signin/../index.html", "/signin/..%2findex.html", "/signin/%2e%2e/index.html", "/signin//index.html",
    "/assets/../../app.py", "/assets/..%2f..%2fapp.py", "/assets/%2e%2e/%2e%2e/users.py",
    "/%2e%2e/%2e%2e/etc/passwd", "/..%5c..%5capp.py", "/assets//etc/passwd", "//etc/passwd",
    "/signin/%00index.html", "/signin/..;/index.html",
    "/SIGNIN/../index.html", "/signin\\..\\index.html", "/.env", "/signin/.%2e/assets/app-1.js",
]  # fmt: skip


async def raw(http: httpx2.AsyncClient, request: bytes) -> bytes:
    """An answer to exactly these bytes: clients tidy paths up before they send them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx2.URL(str(http.base_url)).port)
    writer.write(request)
    await writer.drain()
    said = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    await writer.wait_closed()
    return said


async def test_path_traversal_leads_to_no_file(http: httpx2.AsyncClient) -> None:
    host = str(http.base_url).removeprefix("http://").rstrip("/")
    for path in PATHS:
        said = await raw(http, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        status = int(said.split(b" ", 2)[1])
        body = said.partition(b"\r\n\r\n")[2]
        assert status in (200, 400, 401, 404), (path, status)
        assert status != 200 or FILES["signin/index.html"].encode() in body, path
        assert b"the page" not in body, path
        assert b"app()" not in body, path
        assert b"root:" not in body, path


OTHER_HOSTS = [
    "evil.test",
    "evil.test:3002",
    "127.0.0.1.evil.test",
    "127.0.0.1@evil.test",
    "localhost.evil.test",
    "[",
    "",
]


async def test_host_header_of_another_name_opens_nothing(
    http: httpx2.AsyncClient, subtests: pytest.Subtests
) -> None:
    """A foreign name that leads here (DNS rebinding) would be one origin with this dashboard."""
    await sign_in(http)
    for host in OTHER_HOSTS:
        with subtests.test(host=host):
            for path in ("/", "/session", "/api/v1/queues", "/signin/index.html"):
                said = await raw(
                    http, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
                )
                assert said.split(b" ", 2)[1] in (b"421", b"400"), path
                assert b"title>" not in said, path
            headers = f"Host: {host}\r\nOrigin: http://{host}\r\nX-Corral-Dashboard: 1\r\nConnection: close"
            body = f'{{"user":"ada","password":"{PASSWORD}"}}'
            request = f"POST /session HTTP/1.1\r\n{headers}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            said = await raw(http, request.encode())
            assert said.split(b" ", 2)[1] in (b"421", b"400")
            assert b"set-cookie" not in said.lower()


async def test_host_header_our_own_names_are_served(http: httpx2.AsyncClient, redis_url: str) -> None:
    for host in ("localhost:3002", "127.0.0.1", "[::1]:3002", "192.0.2.7:80"):
        assert (await http.get("/", headers={"host": host})).status_code == 200
    async with serving(attacked(redis_url, dashboard_url="https://Ops.test")) as named:
        for host in ("ops.test", "OPS.test:443"):
            assert (await named.get("/", headers={"host": host})).status_code == 200
        assert (await named.get("/healthz", headers={"host": "the-probe"})).status_code == 200


async def test_open_redirect_no_answer_leads_away(http: httpx2.AsyncClient) -> None:
    await sign_in(http)
    for path in (
        "//evil.test",
        "//evil.test/%2e%2e",
        "/\\evil.test",
        "/queues//",
        "/?next=https://evil.test",
    ):
        answer = await http.get(str(http.base_url).rstrip("/") + path)
        assert answer.status_code in (200, 404), path
        assert "location" not in answer.headers, path


# Bodies

BODIES: dict[str, bytes] = {
    "empty": b"", "not JSON": b"{", "a list": b"[]", "a number": b"1", "null": b"null",
    "deep": b"[" * 100_000, "not UTF-8": b'{"user": "\xff", "password": "x"}',
    "twice": b'{"user":"a","user":"b"}',
    "NaN": b'{"user": NaN}',
    "half a character": b'{"user": "\\ud800", "password": "\\ud800"}',
    "a zero": b'{"user":"a\\u0000","password":"x"}',
    "unknown field": b'{"user":"a","password":"b","role":"admin"}', "zip": gzip.compress(b"{}" * 1_000),
}  # fmt: skip


async def test_malformed_bodies_are_refused_everywhere(http: httpx2.AsyncClient) -> None:
    for kind, body in BODIES.items():
        answer = await http.post("/session", content=body, headers=CHANGE)
        assert answer.status_code in (401, 422), (kind, answer.text)
    await asyncio.sleep(0)
    http.cookies.clear()
    for route in UNSAFE:
        for kind in ("not JSON", "not UTF-8", "deep"):
            answer = await ask_raw(http, route, BODIES[kind])
            assert answer.status_code == 401, (str(route), kind)


async def test_malformed_bodies_of_one_who_is_signed_in_are_problems(http: httpx2.AsyncClient) -> None:
    await sign_in(http)
    for route in UNSAFE:
        for kind in ("not JSON", "a list", "null", "not UTF-8", "half a character", "deep"):
            answer = await ask_raw(http, route, BODIES[kind])
            assert answer.status_code < 500, (str(route), kind, answer.text)
            if answer.status_code >= 400:
                slug(answer)


async def ask_raw(http: httpx2.AsyncClient, route: Route, body: bytes) -> httpx2.Response:
    headers = CHANGE | {"content-type": "application/json"}
    return await http.request(route.method.upper(), route.at(), content=body, headers=headers)


async def test_oversized_bodies_are_refused(http: httpx2.AsyncClient) -> None:
    await sign_in(http)
    huge = b'{"user":"' + b"a" * 12_000_000 + b'","password":"x"}'
    for method, path in (("POST", "/session"), ("POST", "/api/v1/queues/reports/jobs")):
        answer = await http.request(method, path, content=huge, headers=CHANGE)
        assert (answer.status_code, slug(answer)) == (413, "request-entity-too-large")
    answer = await sign_in(http, "a" * 5_000, "x" * 100_000)
    assert answer.status_code == 401


# Roles


def test_roles_what_changes_something_is_never_open_to_a_viewer() -> None:
    reads = {f"{route}" for route in UNSAFE if route.permission in GRANTS[UserRole.VIEWER]}
    #: Questions that are too long for an address.
    assert reads <= {
        "post /api/v1/schedules/preview",
        "post /api/v1/queues/{queue}/dead/search",
        "post /api/v1/queues/{queue}/dead/preview",
        "post /api/v1/queues/{queue}/jobs/operations/preview",
    }
    keys = {route.permission for route in ROUTES if "/keys" in route.path}
    assert keys == {Permission.MANAGE_KEYS}


@pytest.mark.parametrize("user", ["", "vi", "pay", "olu", "ada"])
async def test_role_escalation_each_route_is_for_whom_it_says(
    http: httpx2.AsyncClient, redis: Any, user: str
) -> None:
    grants: tuple[Permission, ...] = ()
    if user:
        await sign_in(http, user)
        view = (await http.get("/session")).json()
        grants = tuple(p for p in Permission if p.name.lower() in view["permissions"])
        expected = GRANTS[UserRole(view["role"])]
        assert set(grants) - {Permission.READ_PAYLOADS} == set(expected) - {Permission.READ_PAYLOADS}
        assert (Permission.READ_PAYLOADS in grants) == (user in ("pay", "ada"))
    before = await everything(redis, *OWN)
    for route in ROUTES:
        if route.permission in grants and not route.safe and user == "ada":
            continue  # an admin may; what it then does is for other tests
        answer = await ask(http, route, CHANGE)
        if not user:
            assert (answer.status_code, slug(answer)) == (401, "not-signed-in"), str(route)
        elif route.permission in grants:
            assert answer.status_code not in (401, 500, 503), str(route)
        else:
            assert (answer.status_code, slug(answer)) == (403, "wrong-role"), str(route)
    if user in ("", "vi", "pay"):  # an export is written down, for it takes jobs out
        assert await everything(redis, *OWN, "::audit") == before


@pytest.fixture
async def api(redis_url: str) -> AsyncIterator[Service]:
    keys = f"only:{'only-' * 5}:admin@reports,reader:{'reader-' * 3}:read@reports"
    async with serving_api(redis_url, keys=keys) as running:
        yield running


@pytest.mark.parametrize(
    ("key", "role", "queues"),
    [
        (ENQUEUE, Role.ENQUEUE, None), (READ, Role.READ, None), (ADMIN, Role.ADMIN, None),
        ("only-" * 5, Role.ADMIN, "reports"), ("reader-" * 3, Role.READ, "reports"), ("", None, None),
    ],
)  # fmt: skip
async def test_role_escalation_each_route_is_for_the_keys_it_says(
    api: Service, key: str, role: Role | None, queues: str | None
) -> None:
    grants = KEY_GRANTS[role] if role else ()
    for route in ROUTES:
        for queue in ("reports", "elsewhere"):
            if role is Role.ADMIN and not route.safe and (queues is None or queue == queues):
                continue
            headers = {"authorization": f"Bearer {key}"} if key else {"authorization": ""}
            answer = await ask(api.http, route, headers, queue=queue)
            about_it = "{queue}" in route.path and queue == queues
            if role is None:
                assert answer.status_code == 401, str(route)
            elif queues and not about_it and route.permission is not Permission.READ_DESCRIPTION:
                assert (answer.status_code, slug(answer)) == (403, "out-of-scope"), (str(route), queue)
            elif route.permission in grants:
                assert answer.status_code not in (401, 500, 503), str(route)
            else:
                assert (answer.status_code, slug(answer)) == (403, "wrong-role"), str(route)


# What is in jobs


async def test_who_may_not_see_payloads_gets_no_byte_of_one_on_any_route(
    http: httpx2.AsyncClient, redis: Any, make_queue: Any
) -> None:
    queue: Queue = make_queue("reports")
    failed, edited, good = await fill(queue, redis)
    await sign_in(http, "ada")
    page = (await http.get("/api/v1/queues/reports/dead")).json()
    # What operators do must not carry payloads into where others look.
    added = await http.post(
        "/api/v1/queues/reports/jobs", json={"name": "build", "data": {"of": CANARY}}, headers=CHANGE
    )
    job = f"/api/v1/queues/reports/jobs/{added.json()['id']}"
    await http.patch(job, json={"data": {"of": [CANARY]}}, headers=CHANGE)
    await http.put(
        f"/api/v1/queues/reports/dead/jobs/{edited}/data", json={"data": {"of": CANARY}}, headers=CHANGE
    )
    names = {"queue": "reports", "group": page["groups"][0]["id"], "name": "onfido"}
    seen: dict[str, set[str]] = {}
    for user in ("ada", "vi"):
        http.cookies.clear()
        await sign_in(http, user)
        for route in [
            route
            for route in ROUTES
            # Streams have tests of their own.
            if not route.endless and (route.safe or route.path.endswith(("/search", "/preview")))
        ]:
            for job_id in (failed, good) if "{job_id}" in route.path else (failed,):
                for query in (
                    {},
                    {"oldest": "true"},
                    {"id": job_id},
                    {"state": "failed"},
                    {"id": "nightly"},
                    {"data": "true"},
                ):
                    body: dict[str, Any] | None = None if route.safe else {}
                    answer = await http.request(
                        route.method.upper(),
                        route.at(**names, job_id=job_id),
                        params=query,
                        json=body,
                        headers=CHANGE,
                    )
                    if CANARY in answer.text:
                        seen.setdefault(user, set()).add(str(route))
    assert seen.get("vi", set()) == set()
    # The secret is where it can be seen by those who may, or the test would find nothing.
    assert len(seen["ada"]) >= 5, seen


async def test_a_request_that_is_given_up_is_no_failure_of_ours(http: httpx2.AsyncClient) -> None:
    await sign_in(http)
    host, port = str(http.base_url.host), http.base_url.port
    cookies = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
    head = f"GET /api/v1/overview HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookies}\r\n\r\n"

    async def give_up_and_see(said: list[Any]) -> bool:
        _, writer = await asyncio.open_connection(host, port)
        writer.write(head.encode())
        await writer.drain()
        writer.transport.abort()
        return 499 in [line.get("status") for line in said]

    with capture_logs() as said:
        await eventually(lambda: give_up_and_see(said))
    assert not [line for line in said if line["log_level"] == "error"]
