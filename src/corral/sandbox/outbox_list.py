"""The outbox for the dashboard: pages of it in brief, newest first, and one entry whole, by its number.

Entries are numbered as they come, from 0 on; the number of one that is no longer kept is free for ever.
Pure: `application` answers with it.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from corral.sandbox.outbox import Outbox
from corral.sandbox.outbox_page import kind_of, present
from corral.sandbox.wire import Reply, Request

#: Entries of one page.
MAX_LISTED = 200


def entries(outbox: Outbox, request: Request) -> Reply:
    """`GET /outbox/entries?kind=&to=&before=&limit=`: of a kind, to whom holds `to`, before a number."""
    kind, to = request.param("kind") or "", (request.param("to") or "").lower()
    before, limit = _number(request.param("before")), _number(request.param("limit"))
    kept = outbox.numbered()
    of_recipient = [(n, entry) for n, entry in kept if to in recipient(entry).lower()]
    passing = [
        (n, entry)
        for n, entry in of_recipient
        if kind in ("", kind_of(entry)) and (before is None or n < before)
    ]
    shown = passing[: min(MAX_LISTED, 100 if limit is None else limit)]
    return Reply(
        200,
        {
            "entries": [brief(n, entry) for n, entry in shown],
            "before": shown[-1][0] if shown and len(passing) > len(shown) else None,
            "kept": len(kept),
            "kinds": dict(Counter(kind_of(entry) for _, entry in of_recipient)),
        },
    )


def entry(outbox: Outbox, path: str) -> Reply:
    """`GET /outbox/entries/{number}`."""
    wanted = _number(path.rpartition("/")[2])
    found = next((entry for n, entry in outbox.numbered() if n == wanted), None)
    if found is None or wanted is None:
        return Reply(404, {"message": "no entry has this number, or it is no longer kept"})
    shown = present(found, time.time())
    facts = [{"name": name, "value": value} for name, value in shown.facts]
    whole = {"text": shown.text, "html": shown.html, "preview": shown.preview, "facts": facts}
    return Reply(200, brief(wanted, found) | whole)


def brief(number: int, entry: dict[str, Any]) -> dict[str, Any]:
    """What a list shows of an entry."""
    shown = present(entry, time.time())
    # A number says nothing by itself.
    title = " ".join(shown.facts[0]) if shown.title.isdigit() and shown.facts else shown.title
    return {
        "number": number,
        "at": entry["at"],
        "provider": entry["provider"],
        "kind": shown.kind,
        "action": shown.word,
        "to": recipient(entry),
        "title": title,
    }


def recipient(entry: dict[str, Any]) -> str:
    """Whom it was for, as far as the outbox keeps that."""
    to = entry.get("to") or entry.get("token") or entry.get("external_user_id") or ""
    return ", ".join(map(str, to)) if isinstance(to, list | tuple) else str(to)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None
