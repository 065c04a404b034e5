"""What parents, children and their flows look like: values and decisions, no I/O.

A flow is a tree of jobs. A parent runs when all its children have finished; what a child that fails for
good does to its parent is the child's policy (`OnFailure`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec


class OnFailure(StrEnum):
    """What a child that failed for good does to its parent. The values are BullMQ's names on the wire.

    BullMQ's own default is none of these: its parent then waits for ever. Corral always writes one.
    """

    #: The default: the parent fails as well, and its own parent is told by the parent's policy.
    FAIL_PARENT = "fpof"
    #: The parent runs at once, though other children may be pending; `ignored_failures` has the reason.
    #: A handler that wants the rest calls `wait_for_children`.
    CONTINUE = "cpof"
    #: Counts as finished. The parent runs after the other children; `ignored_failures` has the reason.
    IGNORE = "idof"
    #: Like IGNORE, and the parent is told nothing of it.
    REMOVE = "rdof"


class ChildKey(NamedTuple):
    """Names a job over all queues; equal to the tuple (queue, id)."""

    queue: str
    id: str


@dataclass(frozen=True, slots=True)
class ChildCounts:
    """Children of one parent. `failed` are those that failed it; `ignored` failed without that."""

    pending: int = 0
    completed: int = 0
    ignored: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        return self.pending + self.completed + self.ignored + self.failed


class ChildState(StrEnum):
    """How its parent sees a child."""

    COMPLETED = "completed"
    IGNORED = "ignored"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Child:
    """A child as noted at its parent. `value`: its result if completed, the reason if ignored, else None."""

    key: ChildKey
    state: ChildState
    value: Any = None


@dataclass(frozen=True, slots=True)
class ChildrenPage:
    """Some children of a parent. `cursor` asks for the next page; None: this was the last."""

    children: list[Child]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class FlowNode:
    """A job of a flow with its state and its children, as far as they were asked for.

    status: as in `Job.status`, or "gone" for a job that its parent remembers and Redis no longer has.
    counts: all children; `children` may hold fewer, see `Queue.flow`.
    outcome, value: how its parent sees it, as in `Child`; None where that was not looked at.
    on_failure: None if it has no parent, or BullMQ's default. Times are in epoch seconds.
    """

    key: ChildKey
    name: str
    status: str
    failed_reason: str | None
    counts: ChildCounts
    children: tuple[FlowNode, ...] = ()
    outcome: ChildState | None = None
    value: Any = None
    parent: ChildKey | None = None
    on_failure: OnFailure | None = None
    started_at: float | None = None
    finished_at: float | None = None


class StuckReason(StrEnum):
    """Why a parent waits for what will not happen."""

    #: A pending child no longer exists, or its key holds no job.
    CHILD_GONE = "child_gone"
    #: A pending child failed for good and has no policy that tells the parent.
    CHILD_FAILED = "child_failed"
    #: A pending child has completed, and the parent was not told.
    CHILD_NOT_COUNTED = "child_not_counted"
    #: A pending child belongs to another parent, or to none: this one will not be told.
    CHILD_LEFT = "child_left"
    #: No child is pending, and the parent was not put to waiting.
    NOTHING_PENDING = "nothing_pending"


@dataclass(frozen=True, slots=True)
class StuckParent:
    """A parent that waits in vain. `waiting_since` in epoch seconds; `children`: those at fault, bounded."""

    id: str
    waiting_since: float
    reason: StuckReason
    children: tuple[ChildKey, ...]


@dataclass(frozen=True, slots=True)
class WaitingParent:
    """A job that waits for its children. `since` in epoch seconds; `node` without children.

    some: a few of the pending children, by chance. stuck: None if they can still finish.
    """

    node: FlowNode
    since: float
    some: tuple[FlowNode, ...]
    stuck: StuckParent | None


@dataclass(frozen=True, slots=True)
class WaitingPage:
    """Some of the `total` jobs of a queue that wait for children, the longest first."""

    total: int
    parents: tuple[WaitingParent, ...]


@dataclass(frozen=True, slots=True)
class RetriedChildren:
    """retried: children that run again. parents: failed jobs that wait for them again. left: how many of
    its failed children were beyond the bound: say it again."""

    retried: int
    parents: int
    left: int


def policy_of(link: bytes | None) -> OnFailure | None:
    """What a child's note of its parent says of failures; None: nothing, or no note that can be read."""
    try:
        said = msgspec.json.decode(link or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return next((policy for policy in OnFailure if said.get(policy.value) is True), None)


def fault_of(*, exists: bool, belongs: bool, has_failed: bool, has_completed: bool) -> StuckReason | None:
    """What is wrong with a pending child; None: it can still finish and tell its parent."""
    if not exists:
        return StuckReason.CHILD_GONE
    if has_failed:
        return StuckReason.CHILD_FAILED
    if has_completed:
        return StuckReason.CHILD_NOT_COUNTED
    return None if belongs else StuckReason.CHILD_LEFT
