"""The dashboard as one ASGI application: sign-in, the management API behind a session, the built pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import msgspec
from litestar import Litestar, Request, Response, delete, get, post, route
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.di import NamedDependency, Provide
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException
from litestar.handlers.base import BaseRouteHandler
from litestar.params import FromPath, FromQuery

from corral.api import problems
from corral.api.app import on_error, on_http_error
from corral.api.asgi import App, Receive, Scope, Send
from corral.api.auth import Permission
from corral.api.edge import Edge
from corral.api.known import KnownQueues
from corral.api.problems import Problem, Refused
from corral.api.reading import MAX_BODY_BYTES
from corral.api.traffic import Traffic
from corral.bullmq.sessions import BROWSER_SECONDS, digest_of
from corral.dashboard.oidc import Provider
from corral.dashboard.origin import FOREIGN, MISDIRECTED, SAFE, is_foreign, is_ours
from corral.dashboard.pages import OPEN, SIGN_IN, Page, built_pages, with_facts
from corral.dashboard.signing_in import LONGEST_SESSION_SECONDS, Door
from corral.dashboard.signing_on import SINGLE_SIGN_ON
from corral.dashboard.single_sign_on import read_single_sign_on
from corral.dashboard.users import User, Users
from corral.errors import RedisUnavailable
from corral.manage.live_ticker import end_live
from corral.manage.queue_names import names_of
from corral.manage.routes import management_router
from corral.manage.service import Actor, Management
from corral.providers import close_providers
from corral.queue import Queue
from corral.settings import Settings

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    b"connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

#: Everything comes from here; nothing is framed, sniffed or sent elsewhere.
HEADERS: list[tuple[bytes, bytes]] = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
]
_HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")

_LASTING = "private, max-age=31536000, immutable"

#: Below these, an address is a file or a route, never a place in the page.
_NO_PAGES = ("assets/", "api/")

_NOT_ALLOWED = "Signed in as {}, whose role {!r} may not {}. Ask an admin."


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the sign-in page sends."""

    user: str
    password: str


class SessionView(msgspec.Struct, frozen=True, rename="camel"):
    """Who is signed in, and what the page may offer them. sandbox: there is an outbox to show."""

    user: str
    role: str
    permissions: list[str]
    environment: str
    sandbox: bool


class SessionRow(msgspec.Struct, frozen=True, rename="camel"):
    """One of one's own sessions. Epoch seconds. here: the one that asks."""

    began: float
    last_used: float
    until: float
    here: bool


class Dashboard:
    """The ASGI application."""

    def __init__(self, settings: Settings, users: Users, queues: Mapping[str, Queue]) -> None:
        self.single = read_single_sign_on(settings)
        self.provider = Provider(self.single) if self.single else None
        self.passwords = len(users) > 0
        self.door = Door(settings, users, self.single)
        self.settings = settings
        url = urlsplit(settings.dashboard_url)
        self.secure = url.scheme == "https"
        #: The prefix ties the cookie to this host and to TLS, where there is TLS.
        #: Of a browser that somebody has signed in with.
        self.browser_cookie = "__Host-corral-known" if self.secure else "corral-known"
        self.cookie = "__Host-corral" if self.secure else "corral"
        self.pages = built_pages() | self.sign_in_page()
        self.management = Management(
            settings, KnownQueues(settings, queues, allow_any=True), self._authenticate
        )
        self.litestar = self._litestar()
        headers = [*HEADERS, _HTTPS_ONLY] if self.secure else HEADERS
        self._edge = Edge(cast("App", self.litestar), Traffic(), headers)

    def begin_shutdown(self) -> None:
        """Let event streams and live ones end now. For the server, before it waits for open requests."""
        self.management.streams.stopping.set()
        end_live(self.litestar)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._edge(scope, receive, send)

    async def close(self) -> None:
        if self.provider is not None:
            await self.provider.close()

    def sign_in_page(self, problem: str = "") -> dict[str, Page]:
        """The page for who is not signed in, by its path; with what went wrong, if something did."""
        found = built_pages().get(SIGN_IN)
        if found is None:
            return {}
        sso = self.single.name if self.single else ""
        return {
            SIGN_IN: with_facts(found, sso=sso, passwords="" if self.passwords else "off", problem=problem)
        }

    def session_cookie(self, token: str) -> Cookie:
        return self.kept(self.cookie, token, LONGEST_SESSION_SECONDS)

    def kept(
        self, name: str, value: str, seconds: int, samesite: Literal["strict", "lax"] = "strict"
    ) -> Cookie:
        """A cookie that scripts cannot read, for the whole of this host."""
        return Cookie(
            key=name,
            value=value,
            path="/",
            max_age=seconds,
            httponly=True,
            samesite=samesite,
            secure=self.secure,
        )

    async def user_of(self, connection: ASGIConnection[Any, Any, Any, Any]) -> User:
        """Who is signed in. Raises Refused, RedisUnavailable."""
        method = str(connection.scope.get("method", "GET"))
        if is_foreign(method, connection.headers):
            raise Refused(FOREIGN)
        return await self.door.user_of(connection.cookies.get(self.cookie), reading=method in SAFE)

    async def _authenticate(
        self, connection: ASGIConnection[Any, Any, Any, Any], permission: Permission
    ) -> Actor:
        user = await self.user_of(connection)
        if permission not in user.permissions:
            detail = _NOT_ALLOWED.format(user.name, str(user.role), permission)
            raise Refused(Problem(403, "wrong-role", "Not allowed", detail))
        return Actor(f"user:{user.name}", user.permissions)

    def _refuse_other_hosts(
        self, connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler
    ) -> None:
        """A guard. Raises Refused. Whoever asks whether the process is alive may call it anything."""
        host = connection.headers.get("host", "")
        if connection.scope["path"] != "/healthz" and not is_ours(host, self.settings.dashboard_url):
            raise Refused(MISDIRECTED)

    def _litestar(self) -> Litestar:
        app = Litestar(
            route_handlers=[
                healthz, sign_in, sign_out, session, own_sessions, front, page,
                management_router(self.management),
                *(SINGLE_SIGN_ON if self.single else ()),
            ],
            guards=[self._refuse_other_hosts],
            dependencies={"dashboard": Provide(lambda: self, sync_to_thread=False)},
            exception_handlers={HTTPException: on_http_error, Exception: on_error},
            on_startup=[lambda: names_of(self.litestar, self.management).begin()],
            on_shutdown=[self.management.known.close, self.close, close_providers],
            request_max_body_size=MAX_BODY_BYTES,
            openapi_config=None,
            logging_config=None,
        )  # fmt: skip
        app.state.management = self.management
        return app


@route("/healthz", http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200)
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@post("/session", status_code=200)
async def sign_in(
    request: Request[Any, Any, Any], dashboard: NamedDependency[Dashboard]
) -> Response[SessionView]:
    """Sign in. 401 for a wrong password, 429 after too many attempts."""
    if is_foreign("POST", request.headers):
        raise Refused(FOREIGN)
    try:
        given = msgspec.json.decode(await request.body(), type=SignIn)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(problems.http(422, 'Send {"user": …, "password": …}.')) from None
    signed_in = await dashboard.door.sign_in(
        given.user,
        given.password,
        request.client.host if request.client else "",
        browser=request.cookies.get(dashboard.browser_cookie, ""),
        before=request.cookies.get(dashboard.cookie),
    )
    cookies = [
        dashboard.session_cookie(signed_in.token),
        dashboard.kept(dashboard.browser_cookie, signed_in.browser, BROWSER_SECONDS),
    ]
    return Response(_view(signed_in.user, dashboard), cookies=cookies)


@delete("/session", status_code=204)
async def sign_out(
    request: Request[Any, Any, Any],
    dashboard: NamedDependency[Dashboard],
    everywhere: FromQuery[bool] = False,
) -> Response[None]:
    """Sign out, here or in all browsers. Raises RedisUnavailable: then the session goes on."""
    if is_foreign("DELETE", request.headers):
        raise Refused(FOREIGN)
    token = request.cookies.get(dashboard.cookie)
    if token and everywhere:
        await dashboard.door.sign_out_everywhere((await dashboard.user_of(request)).name)
    if token:
        await dashboard.door.sign_out(token)
    # Made as the cookie was: a browser takes no other for a __Host- one.
    return Response(None, status_code=204, cookies=[dashboard.kept(dashboard.cookie, "", 0)])


@get("/session")
async def session(request: Request[Any, Any, Any], dashboard: NamedDependency[Dashboard]) -> SessionView:
    """Who is signed in."""
    return _view(await dashboard.user_of(request), dashboard)


@get("/sessions")
async def own_sessions(
    request: Request[Any, Any, Any], dashboard: NamedDependency[Dashboard]
) -> list[SessionRow]:
    """One's own sessions, the last used first."""
    user = await dashboard.user_of(request)
    here = digest_of(request.cookies[dashboard.cookie])
    found = await dashboard.door.sessions_of(user.name)
    return [
        SessionRow(one.until - LONGEST_SESSION_SECONDS, one.last_used, one.until, one.digest == here)
        for one in found
    ]


@get("/")
async def front(request: Request[Any, Any, Any], dashboard: NamedDependency[Dashboard]) -> Response[bytes]:
    """The page itself, or the sign-in page."""
    return await _page(request, dashboard, "")


@get("/{path:path}")
async def page(
    request: Request[Any, Any, Any], dashboard: NamedDependency[Dashboard], path: FromPath[str]
) -> Response[bytes]:
    """A file, or the page, which reads the address by itself."""
    return await _page(request, dashboard, path.lstrip("/"))


async def _page(request: Request[Any, Any, Any], dashboard: Dashboard, path: str) -> Response[bytes]:
    pages = dashboard.pages
    found = pages.get(path) if path.startswith(OPEN) else None
    if found is None:
        try:
            user = await dashboard.user_of(request)
        except (Refused, RedisUnavailable):
            if path in pages or path.startswith(_NO_PAGES):
                raise
            found = pages.get(SIGN_IN)
        else:
            is_page = not path.startswith(_NO_PAGES)
            found = pages.get(path)
            if found is None and is_page and "index.html" in pages:
                facts = msgspec.json.encode(_view(user, dashboard)).decode()
                found = with_facts(pages["index.html"], session=facts)
    if found is None:
        raise Refused(problems.http(404, "There is nothing here."))
    return _answer(request, found)


def _answer(request: Request[Any, Any, Any], found: Page) -> Response[bytes]:
    kept = _LASTING if found.lasting else "no-cache"
    headers = {"ETag": found.etag, "Cache-Control": kept, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == found.etag:
        return Response(b"", status_code=304, headers=headers, media_type=found.media_type)
    if found.gzipped and "gzip" in request.headers.get("accept-encoding", ""):
        packed = headers | {"Content-Encoding": "gzip"}
        return Response(found.gzipped, headers=packed, media_type=found.media_type)
    return Response(found.body, headers=headers, media_type=found.media_type)


def _view(user: User, dashboard: Dashboard) -> SessionView:
    return SessionView(
        user.name,
        str(user.role),
        [p.name.lower() for p in user.permissions],
        dashboard.settings.environment,
        sandbox=bool(dashboard.settings.sandbox_url),
    )
