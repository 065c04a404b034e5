"""GET /api/v1/outbox …: what the sandbox has received, where there is one.

Asks the sandbox over HTTP: CORRAL_SANDBOX_URL, which `corral up` sets. What was sent to whom is payload. A
mail's HTML and pictures are answers of their own, which run no script and ask nobody for anything, in a frame
or opened by themselves.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import httpx2
import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from corral.api.auth import Permission
from corral.api.problems import Problem, Refused
from corral.manage.service import Actor, Management, asks_for

#: Seconds; it is on this machine.
PATIENCE = 2.0

#: Pictures that a browser only draws.
_PICTURES = ("image/jpeg", "image/png", "image/webp", "image/avif", "image/gif")

_ALONE = "sandbox; default-src 'none'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
#: Mails are made of inline styles. Their remote pictures are not loaded.
_MAIL_POLICY = f"{_ALONE}; style-src 'unsafe-inline'; img-src data:"

_NO_SANDBOX = Problem(
    404,
    "no-sandbox",
    "No sandbox",
    "This installation has no sandbox, so there is no outbox: providers are the real ones. `corral up` "
    "starts one; elsewhere CORRAL_SANDBOX_URL says where it is.",
)
_AWAY = Problem(
    503, "sandbox-away", "The sandbox does not answer", "The sandbox does not answer. Is `corral up` running?"
)
_GONE = Problem(
    404, "unknown-entry", "Unknown entry", "No entry has this number, or it is kept no longer: 1,000 are."
)


class OutboxRow(msgspec.Struct, frozen=True, rename="camel"):
    """Something that the sandbox received. `at`: epoch seconds.

    kind: mail, push, sms, webhook, check, image, row or other. to, title: null without the right to see
    payloads.
    """

    number: int
    at: float
    provider: str
    kind: str
    action: str
    to: str | None
    title: str | None


class OutboxList(msgspec.Struct, frozen=True, rename="camel"):
    """Newest first. kept: how many there are in all. kinds: how many of each kind the recipient has.

    before: for the next page; null: these were the last.
    """

    entries: list[OutboxRow]
    kept: int
    kinds: dict[str, int]
    before: int | None
    redacted: bool


class OutboxFact(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    value: str


class _Whole(msgspec.Struct, frozen=True):
    number: int
    at: float
    provider: str
    kind: str
    action: str
    to: str
    title: str
    text: str
    html: str
    facts: list[OutboxFact]


class OutboxEntry(_Whole, frozen=True):
    """One of them whole. html: the source; `…/html` is what to show. picture: whether `…/picture` has one."""

    picture: bool


class _Entry(_Whole, frozen=True):
    """As the sandbox tells it. preview: the address of its picture; "": it has none."""

    preview: str


class _List(msgspec.Struct):
    entries: list[OutboxRow]
    kept: int
    kinds: dict[str, int]
    before: int | None


@get("/outbox", guards=[asks_for(Permission.WATCH)], tags=["outbox"])
async def list_outbox(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    kind: FromQuery[str | None] = None,
    to: FromQuery[str | None] = None,
    before: Annotated[int | None, QueryParameter(ge=0)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 100,
) -> OutboxList:
    """What the sandbox received, newest first: of a kind, to whom holds `to`. 404 without a sandbox."""
    payloads = actor.sees_payloads
    if to:
        actor.check_sees_payloads("Looking for a recipient shows who was written to")
    asked = {"kind": kind or "", "to": to or "", "limit": limit}
    found = _read(
        await _ask(management, "/outbox/entries", asked | ({} if before is None else {"before": before})),
        _List,
    )
    rows = found.entries
    if not payloads:
        rows = [msgspec.structs.replace(row, to=None, title=None) for row in rows]
    return OutboxList(rows, found.kept, found.kinds, found.before, not payloads)


@get("/outbox/{number:int}", guards=[asks_for(Permission.READ_PAYLOADS)], tags=["outbox"])
async def read_outbox(management: NamedDependency[Management], number: FromPath[int]) -> OutboxEntry:
    """One entry whole."""
    found = await _entry(management, number)
    whole = {name: getattr(found, name) for name in _Whole.__struct_fields__}
    return OutboxEntry(**whole, picture=bool(found.preview))


@get(
    "/outbox/{number:int}/html",
    guards=[asks_for(Permission.READ_PAYLOADS)],
    tags=["outbox"],
    media_type="text/html",
)
async def show_mail(management: NamedDependency[Management], number: FromPath[int]) -> Response[str]:
    """A mail's HTML, in a sandbox of the browser: no script, no form, nothing loaded from anywhere."""
    found = await _entry(management, number)
    headers = {"Content-Security-Policy": _MAIL_POLICY, "X-DNS-Prefetch-Control": "off"}
    return Response(found.html, headers=headers, media_type="text/html")


@get("/outbox/{number:int}/picture", guards=[asks_for(Permission.READ_PAYLOADS)], tags=["outbox"])
async def show_picture(management: NamedDependency[Management], number: FromPath[int]) -> Response[bytes]:
    """An image that was uploaded."""
    found = await _entry(management, number)
    answer = await _ask(management, found.preview, {}) if found.preview else None
    kind = "" if answer is None else answer.headers.get("content-type", "").partition(";")[0]
    if answer is None or kind not in _PICTURES:
        raise Refused(_GONE)
    return Response(answer.content, headers={"Content-Security-Policy": _ALONE}, media_type=kind)


async def _entry(management: Management, number: int) -> _Entry:
    return _read(await _ask(management, f"/outbox/entries/{number}", {}), _Entry)


async def _ask(management: Management, path: str, query: dict[str, Any]) -> httpx2.Response:
    """Raises Refused: there is no sandbox, it does not answer, or has no such thing."""
    url = management.settings.sandbox_url
    if not url:
        raise Refused(_NO_SANDBOX)
    try:
        async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as sandbox:
            answer = await sandbox.get(path, params=query)
    except httpx2.HTTPError:
        raise Refused(_AWAY) from None
    if answer.status_code == 404:
        raise Refused(_GONE)
    if answer.status_code != 200:
        raise Refused(_AWAY)
    return answer


_T = TypeVar("_T")


def _read(answer: httpx2.Response, kind: type[_T]) -> _T:
    """Raises Refused for what no sandbox of this version says."""
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError:
        raise Refused(_AWAY) from None


#: All of them, for `routes`.
OUTBOX_HANDLERS = [list_outbox, read_outbox, show_mail, show_picture]
