"""What the sandbox received, for people and tests to look at: `GET /outbox`.

Personal data is reduced: a name to its first letter, a number to its last two characters, an image to its
size, a mail address to its first letter and its domain. What mails, pushes and text messages say is kept as
it was sent, so that a newcomer sees it; a mail's body is cut at 100,000 characters. The newest 1,000 entries
are kept; counts go on.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

MAX_ENTRIES = 1000

#: Characters kept of a mail's text and HTML: 1,000 of the longest mails stay far below a gigabyte.
MAX_BODY = 100_000


class Outbox:
    """Entries and counts by `provider.action`."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=MAX_ENTRIES)
        self.counts: Counter[str] = Counter()

    def record(self, provider: str, action: str, **what: Any) -> None:
        """Note one thing that was received. Values are reduced by the caller (`masked`, `initial`)."""
        self.counts[f"{provider}.{action}"] += 1
        self._entries.append({"at": round(time.time(), 3), "provider": provider, "action": action, **what})

    def show(self, provider: str | None = None) -> dict[str, Any]:
        """Everything, or one provider's entries; oldest first."""
        entries = [e for e in self._entries if provider is None or e["provider"] == provider]
        return {"counts": dict(self.counts), "entries": entries}

    def numbered(self) -> list[tuple[int, dict[str, Any]]]:
        """Everything with its number, newest first. The first entry ever had 0."""
        entries = list(self._entries)
        first = self.counts.total() - len(entries)
        return list(enumerate(entries, first))[::-1]


def masked(value: object) -> str:
    """A number or an id with its last two characters only."""
    text = str(value)
    return "…" + text[-2:] if len(text) > 2 else "…"


def initial(value: object) -> str:
    """A name's first letter."""
    return f"{str(value)[:1]}." if value else ""


def masked_address(value: object) -> str:
    """A mail address with the first letter and the domain only."""
    local, _, domain = str(value).rpartition("@")
    return f"{local[:1]}…@{domain}"
