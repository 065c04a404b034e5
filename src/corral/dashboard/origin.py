"""Whether a request is for this dashboard, and a changing one from its own page: no other site may make one.

Three signs, each enough to refuse: the browser's own word on where the request comes from (Sec-Fetch-Site),
its Origin, and a header that another site's page cannot send without asking first, which nobody here grants.
The session's cookie is not sent from elsewhere in the first place (SameSite=Strict).

All that compares a request with its own Host, which a foreign name that was made to lead here passes (DNS
rebinding). So the name has to be ours: that of CORRAL_DASHBOARD_URL, or one that no foreign server of names
tells, which is localhost and any plain address.
"""

from __future__ import annotations

import ipaddress
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


MISDIRECTED = Problem(
    421,
    "unknown-host",
    "Not the name of this dashboard",
    "Open it under its own address. If this name is right, set CORRAL_DASHBOARD_URL to it.",
)


def is_ours(host: str, dashboard_url: str) -> bool:
    """Whether a Host header names this dashboard, on whichever port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", urlsplit(dashboard_url).hostname):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_foreign(method: str, headers: Mapping[str, str]) -> bool:
    """Whether the request must be refused. `headers`: by lower-case name."""
    if method in SAFE:
        return False
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        return True
    return headers.get(HEADER) != "1"
