"""The page at every address that is no route of another: built files, and the sign-in page for a stranger."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from corral.api import problems
from corral.api.problems import Refused
from corral.dashboard.pages import OPEN, SIGN_IN, Page, with_facts
from corral.dashboard.sessions import view_of
from corral.dashboard.site import Site
from corral.errors import RedisUnavailable

_LASTING = "private, max-age=31536000, immutable"

#: Below these, an address is a file or a route, never a place in the page.
_NO_PAGES = ("assets/", "api/")


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
    if found is None:
        raise Refused(problems.http(404, "There is nothing here."))
    return _answer(request, found)


def _answer(request: Request[Any, Any, Any], found: Page) -> Response[bytes]:
    kept = _LASTING if found.lasting else "private, no-cache"
    headers = {"ETag": found.etag, "Cache-Control": kept, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == found.etag:
        return Response(b"", status_code=304, headers=headers, media_type=found.media_type)
    if found.gzipped and "gzip" in request.headers.get("accept-encoding", ""):
        packed = headers | {"Content-Encoding": "gzip"}
        return Response(found.gzipped, headers=packed, media_type=found.media_type)
    return Response(found.body, headers=headers, media_type=found.media_type)
