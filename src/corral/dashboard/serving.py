"""The page at every address that is no route of another: built files, and the sign-in page for a stranger."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from corral.api import problems
from corral.api.problems import Problem, Refused
from corral.dashboard.content_policy import policy
from corral.dashboard.pages import OPEN, SIGN_IN, Page, with_facts
from corral.dashboard.sessions import view_of
from corral.dashboard.site import Site
from corral.errors import RedisUnavailable

_LASTING = "private, max-age=31536000, immutable"

#: Below these, an address is a file or a route, never a place in the page.
_NO_PAGES = ("assets/", "api/")

#: What is wrong in a clone whose pages were never made.
NOT_BUILT = Problem(
    503,
    "pages-not-built",
    "There is no page yet",
    "The pages of the dashboard are not built. Run `make setup` in the clone and start it again; "
    "an installed Corral comes with them.",
)


@get("/")
async def front(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> Response[bytes]:
    """The page itself, or the sign-in page."""
    return await _page(request, site, "")


@get("/{path:path}")
async def page(
    request: Request[Any, Any, Any], site: NamedDependency[Site], path: FromPath[str]
) -> Response[bytes]:
    """A file, or the page, which reads the address by itself."""
    return await _page(request, site, path.lstrip("/"))


PAGES = (front, page)


async def _page(request: Request[Any, Any, Any], site: Site, path: str) -> Response[bytes]:
    pages = site.pages
    found = pages.get(path) if path.startswith(OPEN) else None
    if found is None:
        try:
            user = await site.user_of(request)
        except (Refused, RedisUnavailable):
            if path in pages or path.startswith(_NO_PAGES):
                raise
            found = pages.get(SIGN_IN)
        else:
            is_page = not path.startswith(_NO_PAGES)
            found = pages.get(path)
            if found is None and is_page and "index.html" in pages:
                facts = msgspec.json.encode(view_of(user, site)).decode()
                found = with_facts(pages["index.html"], session=facts)
    if found is not None:
        return _answer(request, found)
    if path.startswith((*_NO_PAGES, OPEN)):
        raise Refused(problems.http(404, "There is nothing here."))
    raise Refused(NOT_BUILT)


def _answer(request: Request[Any, Any, Any], found: Page) -> Response[bytes]:
    packed = bool(found.gzipped) and takes_gzip(request.headers.get("accept-encoding", ""))
    etag = found.etag_gzipped if packed else found.etag
    headers = {
        "ETag": etag,
        "Cache-Control": _LASTING if found.lasting else "private, no-cache",
        "Vary": "Accept-Encoding",
    }
    if found.inline:
        headers["Content-Security-Policy"] = policy(found.inline)
    if has_it(request.headers.get("if-none-match", ""), etag):
        return Response(b"", status_code=304, headers=headers, media_type=found.media_type)
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(found.gzipped if packed else found.body, headers=headers, media_type=found.media_type)


def takes_gzip(accept_encoding: str) -> bool:
    """Whether the header allows it: `gzip;q=0` names it and refuses it."""
    weights = dict(_weighed(part) for part in accept_encoding.lower().split(","))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weighed(part: str) -> tuple[str, float]:
    name, _, parameters = part.partition(";")
    weight = parameters.partition("q=")[2].strip() or "1"
    try:
        return name.strip(), float(weight)
    except ValueError:
        return name.strip(), 0.0


def has_it(if_none_match: str, etag: str) -> bool:
    """Whether the browser says that it has this. A proxy that packs by itself marks tags with `W/`."""
    given = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in given or "*" in given
