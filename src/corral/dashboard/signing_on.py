"""The two addresses of single sign-on: where it begins, and where the provider sends the browser back to.

What a sign-in under way needs is kept by the browser that began it, in a cookie that scripts cannot read. It
is the only one that comes along from another site (SameSite=Lax); the way back removes it, or ten minutes do.

The way back is a request from another site, so the session's cookie (Strict) would not come along on a
redirect from there. The answer is a small page of our own that goes on to the place that was asked for.
"""

from __future__ import annotations

import hmac
from html import escape
from typing import Any

import structlog
from litestar import Request, Response, get
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromQuery

from corral.api import problems
from corral.api.problems import Problem, Refused
from corral.dashboard.oidc import Begun, Provider
from corral.dashboard.pages import SIGN_IN
from corral.dashboard.single_sign_on import CALLBACK, SingleSignOn, local_path, person
from corral.dashboard.site import Site
from corral.errors import RedisUnavailable

log = structlog.get_logger(__name__)

#: How long somebody may take at the provider.
UNDER_WAY_SECONDS = 600

_ELSEWHERE = Problem(
    400,
    "not-begun-here",
    "Not signed in",
    "This sign-in was not begun in this browser, or too long ago. Start again.",
)
_AWAY = Problem(503, "redis-unavailable", "Not signed in", "Redis does not answer. Try again in a minute.")

_GO_ON = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={to}">'
    '<title>Signed in · Corral</title><p><a href="{to}">Signed in. Go on to the dashboard.</a></p></html>'
)


@get("/oidc/start")
async def begin(
    request: Request[Any, Any, Any], site: NamedDependency[Site], to: FromQuery[str] = "/"
) -> Response[bytes]:
    """Send the browser to the provider. `to`: the page to go on to afterwards."""
    begun = Begun.new(local_path(to))
    _, provider = _set_up(site)
    try:
        url = await provider.authorization_url(begun)
    except Refused as refused:
        return _refused(request, site, refused.problem)
    cookie = site.kept(_cookie(site), begun.to_cookie(), UNDER_WAY_SECONDS, "lax")
    return Response(b"", status_code=302, headers={"Location": url}, cookies=[cookie])


@get(CALLBACK)
async def come_back(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> Response[bytes]:
    """The provider has sent the browser back, with a code or an error."""
    single, provider = _set_up(site)
    said = request.query_params
    try:
        begun = Begun.from_cookie(request.cookies.get(_cookie(site)))
        if begun is None or not hmac.compare_digest(begun.state.encode(), said.get("state", "").encode()):
            raise Refused(_ELSEWHERE)
        if "error" in said or "code" not in said or said.get("iss", single.issuer) != single.issuer:
            raise Refused(_not_let_in(single.name))
        claims = await provider.claims(said["code"], begun)
        signed_in = await site.door.admit(person(single, claims), f"oidc:{begun.state}")
    except Refused as refused:
        return _refused(request, site, refused.problem)
    except RedisUnavailable:
        return _refused(request, site, _AWAY)
    return Response(
        _GO_ON.format(to=escape(local_path(begun.to))).encode(),
        media_type="text/html",
        headers={"Referrer-Policy": "no-referrer"},
        cookies=[site.session_cookie(signed_in.token), _gone(site)],
    )


SINGLE_SIGN_ON = (begin, come_back)


def _refused(request: Request[Any, Any, Any], site: Site, problem: Problem) -> Response[bytes]:
    """The sign-in page, which says why. A problem of the API is for programs; this is a person."""
    log.warning("sign_in_refused", user=None, single_sign_on=True, problem=problem.slug)
    request.scope["state"]["problem"] = problem.slug
    page = site.sign_in_page(problem.detail).get(SIGN_IN)
    return Response(
        page.body if page else problem.to_json(),
        status_code=problem.status,
        media_type=page.media_type if page else problems.MEDIA_TYPE,
        headers={"Referrer-Policy": "no-referrer"},
        cookies=[_gone(site)],
    )


def _set_up(site: Site) -> tuple[SingleSignOn, Provider]:
    if site.single is None or site.provider is None:
        raise RuntimeError("These routes are there only where single sign-on is set up.")
    return site.single, site.provider


def _cookie(site: Site) -> str:
    return f"{site.cookie}-oidc"


def _gone(site: Site) -> Cookie:
    return site.kept(_cookie(site), "", 0, "lax")


def _not_let_in(name: str) -> Problem:
    return Problem(401, "sign-on-refused", "Not signed in", f"{name} did not sign you in. Try again.")
