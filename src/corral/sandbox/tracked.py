"""What the analytics stand-ins have in common: they keep each event once, and refuse one when it asks for it.

An event whose name ends in REFUSE is refused as the service refuses a malformed one. The newest 20,000 events
are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from corral.sandbox.outbox import Outbox

MAX_EVENTS = 20_000


class Tracked:
    """Events by id, as one service has them."""

    def __init__(self, outbox: Outbox, provider: str) -> None:
        self._outbox = outbox
        self._provider = provider
        self.events: dict[str, dict[str, Any]] = {}

    def keep(self, events: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
        """Note a batch of `(id, name, event)`."""
        names: Counter[str] = Counter()
        repeats = 0
        for key, name, event in events:
            repeats += key in self.events
            names[name] += 1
            self.events[key] = event
        while len(self.events) > MAX_EVENTS:
            del self.events[next(iter(self.events))]
        self._outbox.record(
            self._provider, "batch", events=names.total(), repeats=repeats, names=dict(names.most_common(10))
        )


def refused(name: object) -> bool:
    """Whether the sender wants this event refused."""
    return str(name).endswith("REFUSE")
