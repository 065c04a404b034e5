"""An operation on dead letters as an operator sees it. Pure: made of what Redis holds of it.

Kinds: retry, discard, undo (of a discard). States: waiting (for its breaker, or for a carrier), running,
stopping (its carrier ends it at the next step), stopped, done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from corral.bullmq.dead_index import BIN_MS

Kind = Literal["retry", "discard", "undo"]
OperationState = Literal["waiting", "running", "stopping", "stopped", "done"]

ENDED: tuple[OperationState, ...] = ("stopped", "done")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. Times are epoch seconds.

    about: what it is about, in words. group: its group, or "". by: who began it.
    total: jobs it is about, as far as they are collected (`selected`: all are).
    moved: jobs retried, discarded or brought back. gone: jobs that were not there any more when it came to
    them.
    binned: of the discarded, those that can be brought back until `undo_until`.
    rate: jobs a second over all carriers; None: as fast as it goes. breaker: it runs only while that is
    closed.
    undoes: the operation whose discarded jobs it brings back, or "".
    """

    queue: str
    id: str
    kind: Kind
    state: OperationState
    about: str
    group: str
    by: str
    total: int
    selected: bool
    moved: int
    gone: int
    binned: int
    rate: float | None
    breaker: str
    undoes: str
    created: float
    ended: float | None

    @property
    def is_over(self) -> bool:
        return self.state in ENDED

    @property
    def final(self) -> int:
        """Discarded jobs that the bin had no room for: they are gone for good."""
        return self.moved - self.binned if self.kind == "discard" else 0

    @property
    def undo_until(self) -> float | None:
        """Until when what it discarded last can be brought back; None: nothing can."""
        if self.kind != "discard" or not self.binned or self.ended is None:
            return None
        return self.ended + BIN_MS / 1000

    @property
    def left(self) -> int:
        return max(0, self.total - self.moved - self.gone)


def operation_of(queue: str, operation: str, fields: Mapping[str, str]) -> Operation:
    """What Redis holds as what is shown."""
    get = fields.get
    rate = float(get("rate") or 0)
    return Operation(
        queue=queue,
        id=operation,
        kind=cast("Kind", get("kind", "retry")),
        state=cast("OperationState", get("state", "waiting")),
        about=get("about", ""),
        group=get("group", ""),
        by=get("by", ""),
        total=int(get("total", "0")),
        selected=get("selected") == "1",
        moved=int(get("moved", "0")),
        gone=int(get("gone", "0")),
        binned=int(get("binned", "0")),
        rate=rate or None,
        breaker=get("breaker", ""),
        undoes=get("undoes", ""),
        created=float(get("created", "0")) / 1000,
        ended=float(fields["ended"]) / 1000 if get("ended") else None,
    )
