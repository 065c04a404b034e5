"""What of a burst of events goes into one batch: rare kinds first, then the newest; the rest is counted."""

from __future__ import annotations

from collections import Counter, deque

from corral.events import Event

#: What somebody who watches a busy queue is looking for.
RARE = frozenset({"failed", "retries-exhausted", "stalled", "paused", "resumed"})


class Gathering:
    """Takes in events between two batches, in bounded memory. `most`: of one batch."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rare: deque[tuple[int, str, Event]] = deque(maxlen=most)
        self._common: deque[tuple[int, str, Event]] = deque(maxlen=most)
        self._counts: Counter[str] = Counter()
        self._number = 0

    def __len__(self) -> int:
        return self._counts.total()

    def take(self, queue: str, event: Event) -> None:
        self._number += 1
        self._counts[event.name] += 1
        (self._rare if event.name in RARE else self._common).append((self._number, queue, event))

    def drain(self) -> tuple[list[tuple[str, Event]], dict[str, int]]:
        """The chosen in the order in which they came, and how many of each kind were left out."""
        room = self._most - len(self._rare)
        common = list(self._common)[-room:] if room else []
        chosen = sorted([*self._rare, *common], key=lambda taken: taken[0])
        left = self._counts - Counter(event.name for _, _, event in chosen)
        self._rare.clear()
        self._common.clear()
        self._counts = Counter()
        return [(queue, event) for _, queue, event in chosen], dict(left)
