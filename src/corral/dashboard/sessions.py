"""Signing in and out with a password, who is signed in, and one's own sessions."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery

from corral.api import problems
from corral.api.problems import Refused
from corral.bullmq.sessions import BROWSER_SECONDS, digest_of
from corral.dashboard.origin import FOREIGN, is_foreign
from corral.dashboard.signing_in import LONGEST_SESSION_SECONDS
from corral.dashboard.site import Site
from corral.dashboard.users import User


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


@post("/session", status_code=200)
async def sign_in(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> Response[SessionView]:
    """Sign in. 401 for a wrong password, 429 after too many attempts."""
    if is_foreign("POST", request.headers):
        raise Refused(FOREIGN)
    try:
        given = msgspec.json.decode(await request.body(), type=SignIn)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(problems.http(422, 'Send {"user": …, "password": …}.')) from None
    signed_in = await site.door.sign_in(
        given.user,
        given.password,
        request.client.host if request.client else "",
        browser=request.cookies.get(site.browser_cookie, ""),
        before=request.cookies.get(site.cookie),
    )
    cookies = [
        site.session_cookie(signed_in.token),
        site.kept(site.browser_cookie, signed_in.browser, BROWSER_SECONDS),
    ]
    return Response(view_of(signed_in.user, site), cookies=cookies)


@delete("/session", status_code=204)
async def sign_out(
    request: Request[Any, Any, Any],
    site: NamedDependency[Site],
    everywhere: FromQuery[bool] = False,
) -> Response[None]:
    """Sign out, here or in all browsers. Raises RedisUnavailable: then the session goes on."""
    if is_foreign("DELETE", request.headers):
        raise Refused(FOREIGN)
    token = request.cookies.get(site.cookie)
    if token and everywhere:
        await site.door.sign_out_everywhere((await site.user_of(request)).name)
    if token:
        await site.door.sign_out(token)
    # Made as the cookie was: a browser takes no other for a __Host- one.
    return Response(None, status_code=204, cookies=[site.kept(site.cookie, "", 0)])


@get("/session")
async def session(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> SessionView:
    """Who is signed in."""
    return view_of(await site.user_of(request), site)


@get("/sessions")
async def own_sessions(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> list[SessionRow]:
    """One's own sessions, the last used first."""
    user = await site.user_of(request)
    here = digest_of(request.cookies[site.cookie])
    found = await site.door.sessions_of(user.name)
    return [
        SessionRow(one.until - LONGEST_SESSION_SECONDS, one.last_used, one.until, one.digest == here)
        for one in found
    ]


SESSIONS = (sign_in, sign_out, session, own_sessions)


def view_of(user: User, site: Site) -> SessionView:
    return SessionView(
        user.name,
        str(user.role),
        [p.name.lower() for p in user.permissions],
        site.settings.environment,
        sandbox=bool(site.settings.sandbox_url),
    )
