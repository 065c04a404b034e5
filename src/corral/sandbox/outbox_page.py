"""The outbox for people: `GET /outbox` in a browser, newest first, grouped by provider, with a filter.

Guarantees: the page runs no script and asks no other host for anything, whatever a mail holds: the
Content-Security-Policy allows this page, its own styles, and pictures of the sandbox. Everything that was
received is escaped; a mail's HTML is shown in a frame of its own without scripts, forms, or a way out.
Limits: the newest 100 entries that pass the filter; remote pictures of a mail are not loaded.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Self
from urllib.parse import quote, urlencode

import jinja2

from corral.sandbox.wire import Reply, Request

#: Entries on one page: a mail with its HTML can be 200 kB.
MAX_SHOWN = 100
#: Mails whose frame is open from the start.
MAX_OPEN = 3

#: kind → what its tab is called
KINDS = {
    "mail": "Mail",
    "push": "Push",
    "sms": "SMS",
    "webhook": "Webhooks",
    "check": "Identity checks",
    "image": "Images",
    "row": "Rows",
    "other": "Other",
}

#: Inline styles are what mails are made of, and the frame of a mail inherits this policy.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-dns-prefetch-control": "off",
    "cache-control": "no-store",
}

_OWN_PATH = re.compile(r"/[A-Za-z0-9]")
_WORDS = {"webhook": "webhook", "hook": "webhook", "push": "push", "sms": "sms", "mail": "mail"}
_ROWS = frozenset({"upsert", "update", "insert", "delete", "batch", "track"})
#: Providers of which all that has no plainer sign is of one kind.
_KIND_OF_PROVIDER = {"onfido": "check", "idenfy": "check", "hooks": "webhook"}
#: What may be an entry's headline, the best first.
_TITLES = (
    "subject",
    "title",
    "event",
    "key",
    "filename",
    "table",
    "body",
    "text",
    "result",
    "path",
    "id",
    "type",
)
_SHOWN_ELSEWHERE = frozenset(
    {"at", "provider", "action", "html", "text", "body", "preview", "subject", "title"}
)


@dataclass(frozen=True, slots=True)
class Filter:
    """What of the outbox is asked for; empty is everything. `text` is looked for in all of an entry."""

    provider: str = ""
    kind: str = ""
    text: str = ""

    @classmethod
    def of(cls, request: Request) -> Self:
        """The filter in a request's query."""
        return cls(*(request.param(name) or "" for name in ("provider", "kind", "text")))

    def passes(self, entry: dict[str, Any]) -> bool:
        """Whether an entry is asked for."""
        return (
            self.provider in ("", entry["provider"])
            and self.kind in ("", kind_of(entry))
            and self.text.lower() in json.dumps(entry, ensure_ascii=False, default=str).lower()
        )

    def link(self, **changes: str) -> str:
        """The address of this filter with changes."""
        query = {"provider": self.provider, "kind": self.kind, "text": self.text} | changes
        kept = {name: value for name, value in query.items() if value}
        return "/outbox" + (f"?{urlencode(kept)}" if kept else "")


@dataclass(frozen=True, slots=True)
class Shown:
    """One entry as the page shows it. `facts` are names and values, the long ones last."""

    kind: str
    word: str
    at: str
    when: str
    title: str
    facts: tuple[tuple[str, str], ...]
    text: str
    html: str
    preview: str
    is_open: bool


def wanted(request: Request) -> bool:
    """Whether a browser asks: a program gets JSON."""
    return "text/html" in request.headers.get("accept", "")


def home() -> Reply:
    """The first page: what this is, and where to look."""
    return _page("home.html")


def outbox(entries: Iterable[dict[str, Any]], asked: Filter, now: float | None = None) -> Reply:
    """The page. entries: oldest first, as they were recorded. now: epoch seconds."""
    everything = list(entries)[::-1]
    passing = [entry for entry in everything if asked.passes(entry)]
    groups: dict[str, list[Shown]] = {}
    open_left = MAX_OPEN
    for entry in passing[:MAX_SHOWN]:
        is_open = bool(entry.get("html")) and open_left > 0
        open_left -= is_open
        shown = present(entry, time.time() if now is None else now, is_open=is_open)
        groups.setdefault(entry["provider"], []).append(shown)
    of_provider = [entry for entry in everything if asked.provider in ("", entry["provider"])]
    return _page(
        "outbox.html",
        asked=asked,
        groups=groups,
        shown=min(len(passing), MAX_SHOWN),
        found=len(passing),
        total=len(everything),
        in_view=len(of_provider),
        providers=_counted(entry["provider"] for entry in everything),
        kinds=Counter(kind_of(entry) for entry in of_provider),
        names=KINDS,
    )


# Decisions


def kind_of(entry: dict[str, Any]) -> str:
    """What sort of thing was received, from its action and what it holds."""
    action = str(entry.get("action", "")).lower()
    for word, kind in _WORDS.items():
        if word in action:
            return kind
    if "html" in entry or "subject" in entry:
        return "mail"
    if entry["provider"] in _KIND_OF_PROVIDER:
        return _KIND_OF_PROVIDER[entry["provider"]]
    if "preview" in entry or entry["provider"] == "images" or str(entry.get("type", "")).startswith("image/"):
        return "image"
    return "row" if action in _ROWS or "table" in entry else "other"


def present(entry: dict[str, Any], now: float, *, is_open: bool = False) -> Shown:
    """An entry in the words of the page."""
    kind, action = kind_of(entry), str(entry.get("action", ""))
    at = float(entry.get("at", now))
    facts = [(name, _said(value)) for name, value in entry.items() if name not in _SHOWN_ELSEWHERE]
    text = next((_said(entry[name]) for name in ("text", "body") if entry.get(name)), "")
    title = next((_said(entry[name]) for name in _TITLES if entry.get(name)), facts[0][1] if facts else "")
    preview = str(entry.get("preview", ""))
    return Shown(
        kind=kind,
        word=action.replace("_", " ") or kind,
        at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
        when=ago(now - at),
        title=" ".join(title.split())[:200],
        facts=tuple(sorted((fact for fact in facts if fact[1]), key=lambda fact: "\n" in fact[1])),
        text=text,
        html=str(entry.get("html", "")),
        # A path of the sandbox itself; "//host" and "/\\host" would be another one's.
        preview=quote(preview) if _OWN_PATH.match(preview) else "",
        is_open=is_open,
    )


def ago(seconds: float) -> str:
    """How long ago, in words."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}\u00a0s ago"
    if whole < 3600:
        return f"{whole // 60}\u00a0m {whole % 60}\u00a0s ago"
    return f"{whole // 3600}\u00a0h {whole % 3600 // 60}\u00a0m ago"


def _said(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, str | int | float):
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    if isinstance(value, Sequence) and all(isinstance(item, str | int) for item in value):
        return ", ".join(map(str, value))
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _counted(names: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(names).items())


def _page(name: str, **values: Any) -> Reply:
    return Reply(200, _templates().get_template(name).render(values).encode(), dict(_HEADERS))


@cache
def _templates() -> jinja2.Environment:
    pages = resources.files("corral.sandbox") / "pages"
    files = ("base.html", "home.html", "outbox.html", "outbox.css")
    return jinja2.Environment(
        loader=jinja2.DictLoader({name: (pages / name).read_text("utf-8") for name in files}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
