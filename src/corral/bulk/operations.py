"""An operation on many jobs as an operator sees it. Pure: made of what Redis holds of it.

States: waiting (for a carrier), running, stopping (its carrier ends it at the next step), stopped, done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

Kind = Literal["retry", "promote", "remove", "cancel", "priority", "delay"]
OperationState = Literal["waiting", "running", "stopping", "stopped", "done"]

#: What a job that stayed as it was turned out to be.
Why = Literal["running", "waiting", "delayed", "finished", "removed", "scheduled", "refused"]

#: The states whose jobs an operation of a kind is about.
FITTING: Mapping[Kind, tuple[str, ...]] = {
    "retry": ("completed", "failed"),
    "promote": ("delayed",),
    "remove": ("completed", "failed"),
    "cancel": ("waiting", "active", "delayed", "waiting-children"),
    "priority": ("waiting", "delayed"),
    "delay": ("delayed",),
}


@dataclass(frozen=True, slots=True)
class BulkOperation:
    """One operation. Times are epoch seconds.

    source: the state its jobs were in. about: its filter, in words without values. value: the new priority
    or delay. total: jobs it is about, as far as they are collected (`selected`: all are). moved: jobs it was
    done to. gone: jobs that stayed as they were; `why` says what they were. rate: jobs a second over all
    carriers; None: as fast as it goes.
    """

    queue: str
    id: str
    kind: Kind
    source: str
    state: OperationState
    about: str
    by: str
    value: float
    total: int
    selected: bool
    moved: int
    gone: int
    why: Mapping[str, int]
    rate: float | None
    created: float
    ended: float | None

    @property
    def is_over(self) -> bool:
        return self.state in ("stopped", "done")

    @property
    def left(self) -> int:
        return max(0, self.total - self.moved - self.gone)


def operation_of(queue: str, operation: str, fields: Mapping[str, str]) -> BulkOperation:
    """What Redis holds as what is shown."""
    get = fields.get
    return BulkOperation(
        queue=queue,
        id=operation,
        kind=cast("Kind", get("kind", "cancel")),
        source=get("source", ""),
        state=cast("OperationState", get("state", "waiting")),
        about=get("about", ""),
        by=get("by", ""),
        value=float(get("value") or 0),
        total=int(get("total", "0")),
        selected=get("selected") == "1",
        moved=int(get("moved", "0")),
        gone=int(get("gone", "0")),
        why={name[4:]: int(value) for name, value in fields.items() if name.startswith("why:")},
        rate=float(get("rate") or 0) or None,
        created=float(get("created", "0")) / 1000,
        ended=float(fields["ended"]) / 1000 if get("ended") else None,
    )
