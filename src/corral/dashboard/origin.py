"""Whether a changing request comes from the dashboard's own page: no other site may make one.

Three signs, each enough to refuse: the browser's own word on where the request comes from (Sec-Fetch-Site),
its Origin, and a header that another site's page cannot send without asking first, which nobody here grants.
The session's cookie is not sent from elsewhere in the first place (SameSite=Strict).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from corral.api.problems import Problem

#: What the page's own client sends with each change.
HEADER = "x-corral-dashboard"

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

FOREIGN = Problem(
    403,
    "foreign-request",
    "Not from this page",
    f"Changes are made from the dashboard's own page. A program of yours sends `{HEADER}: 1`, or better uses "
    "the HTTP API with a key.",
)


def is_foreign(method: str, headers: Mapping[str, str]) -> bool:
    """Whether the request must be refused. `headers`: by lower-case name."""
    if method in SAFE:
        return False
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return True
    return headers.get(HEADER) != "1"
