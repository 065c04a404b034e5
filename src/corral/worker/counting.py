"""What a process has counted and Redis does not have yet. No I/O here.

A batch is taken and sent until it was answered, the same one under the same number, so that it is added once;
what is counted meanwhile goes into the next. It is the difference of two tallies, so however long Redis is
away, it takes no more room than the job names do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from corral.bullmq.keys import QueueKeys
from corral.bullmq.statistics import Counted, Entry, counted
from corral.observe import buckets
from corral.worker.tally import Row, Tally

#: Numbers of a row, by the names that they are kept under.
_KEPT = {
    "arrived": "first_started",
    "started": "started",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "retried": "retried",
    "put_back": "put_back",
    "stalled": "stalled",
}


@dataclass(slots=True)
class _Said:
    """What was taken of one queue already."""

    whole: dict[str, int] = field(default_factory=dict)
    names: dict[str, Entry] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)


class Counting:
    """The tallies of one worker on one server and prefix."""

    def __init__(self, tallies: Sequence[tuple[QueueKeys, Tally]]) -> None:
        self._tallies = tallies
        self._said = [_Said() for _ in tallies]
        self._batch: list[Counted] | None = None
        self.number = 0

    def batch(self) -> list[Counted]:
        """What is to be sent as `number`: that which was not answered, or else what has come since."""
        if self._batch is None:
            self.number += 1
            self._batch = [
                _taken(keys, tally, said)
                for (keys, tally), said in zip(self._tallies, self._said, strict=True)
            ]
        return self._batch

    def answered(self) -> None:
        self._batch = None

    @property
    def done(self) -> int:
        """Attempts since the start that completed or failed, for good or to be tried again."""
        return sum(row.done for _, tally in self._tallies for row in tally.rows.values())


def _taken(keys: QueueKeys, tally: Tally, said: _Said) -> Counted:
    more = _since({"lost_locks": tally.lost_locks, "reconnects": tally.reconnects}, said.whole)
    names = {}
    for name, row in tally.rows.items():
        entry = _entry_since(row, said.names.setdefault(name, Entry()))
        if not entry.is_empty:
            names[name] = entry
    unknown = [*_since(tally.unknown, said.unknown)]
    return counted(keys, names, more, unknown)


def _entry_since(row: Row, said: Entry) -> Entry:
    now = {kept: getattr(row, number) for kept, number in _KEPT.items()}
    entry = Entry(_since(now, said.counts))
    for kind in ("wait", "run"):
        times = getattr(row, kind)
        setattr(entry, kind, buckets.since(times, getattr(said, kind)))
        setattr(said, kind, dict(times))
    return entry


def _since(now: dict[str, int], said: dict[str, int]) -> dict[str, int]:
    """What was added; it is said from here on."""
    added = {name: number - said.get(name, 0) for name, number in now.items() if number != said.get(name, 0)}
    said.update(now)
    return added
