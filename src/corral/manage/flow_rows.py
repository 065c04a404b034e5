"""What the management API shows of flows. Pure; `flows.py` reads.

Payload is what handlers wrote: results, and the text of errors. See `job_rows`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from corral.data import encode
from corral.family import ChildKey, FlowNode, OnFailure, StuckParent, WaitingParent
from corral.manage.job_view import JobName
from corral.sealing import Sealing

#: Characters of a result or a reason that a tree shows; the job's page has all of it.
SHOWN_CHARS = 300

_POLICIES = {
    OnFailure.FAIL_PARENT: "fail_parent",
    OnFailure.CONTINUE: "continue",
    OnFailure.IGNORE: "ignore",
    OnFailure.REMOVE: "remove",
}


class StuckRow(msgspec.Struct, frozen=True, rename="camel"):
    """A parent that waits in vain. children: those at fault, ten at most. since: epoch seconds.

    reason: child_gone, child_failed, child_not_counted, child_left or nothing_pending.
    """

    reason: str
    since: float
    children: list[JobName]


class FlowNodeRow(msgspec.Struct, frozen=True, rename="camel"):
    """A job of a flow. Times are in epoch seconds.

    status: its state, or `gone`. parent: the node above it. pending … failed: how many children it has.
    outcome: how its parent sees it: pending, completed, ignored or failed. onFailure: what its failure does
    to its parent; null: BullMQ's default, that parent waits for ever. failedReason, result: cut short, and
    null without the right to see payloads.
    """

    queue: str
    id: str
    name: str
    status: str
    parent: JobName | None
    outcome: str | None
    on_failure: str | None
    pending: int
    completed: int
    ignored: int
    failed: int
    started_at: float | None
    finished_at: float | None
    failed_reason: str | None
    result: str | None
    stuck: StuckRow | None


class WaitingRow(msgspec.Struct, frozen=True, rename="camel"):
    """A job that waits for its children since then. some: a few of the pending ones, by chance."""

    queue: str
    id: str
    name: str
    since: float
    parent: JobName | None
    pending: int
    completed: int
    ignored: int
    failed: int
    some: list[FlowNodeRow]
    stuck: StuckRow | None


def named(key: ChildKey) -> JobName:
    return JobName(key.queue, key.id)


def stuck_row(stuck: StuckParent | None) -> StuckRow | None:
    if stuck is None:
        return None
    return StuckRow(str(stuck.reason), stuck.waiting_since, [named(child) for child in stuck.children])


def waiting_row(one: WaitingParent, sealing: Sealing, *, payloads: bool) -> WaitingRow:
    node, counts = one.node, one.node.counts
    return WaitingRow(
        queue=node.key.queue,
        id=node.key.id,
        name=node.name,
        since=one.since,
        parent=named(node.parent) if node.parent else None,
        pending=counts.pending,
        completed=counts.completed,
        ignored=counts.ignored,
        failed=counts.failed,
        some=[node_row(child, node.key, None, sealing, payloads=payloads) for child in one.some],
        stuck=stuck_row(one.stuck),
    )


def walked(root: FlowNode) -> Iterator[tuple[FlowNode, ChildKey | None]]:
    """All nodes of a tree with the node above each: parents before children, siblings in their order."""
    waiting: list[tuple[FlowNode, ChildKey | None]] = [(root, None)]
    while waiting:
        node, above = waiting.pop()
        yield node, above
        waiting.extend((child, node.key) for child in reversed(node.children))


def node_row(
    node: FlowNode, above: ChildKey | None, stuck: StuckParent | None, sealing: Sealing, *, payloads: bool
) -> FlowNodeRow:
    """above: the node that it is shown below."""
    counts = node.counts
    reason = node.failed_reason
    if reason is None and node.outcome == "ignored" and isinstance(node.value, str):
        reason = node.value  # of a child that is gone, its parent still knows why
    return FlowNodeRow(
        queue=node.key.queue,
        id=node.key.id,
        name=node.name,
        status=node.status,
        parent=named(above) if above else None,
        outcome=str(node.outcome) if node.outcome else None,
        on_failure=_POLICIES[node.on_failure] if node.on_failure else None,
        pending=counts.pending,
        completed=counts.completed,
        ignored=counts.ignored,
        failed=counts.failed,
        started_at=node.started_at,
        finished_at=node.finished_at,
        failed_reason=_cut(reason) if payloads and reason else None,
        result=_result(node, sealing) if payloads and node.outcome == "completed" else None,
        stuck=stuck_row(stuck),
    )


def waiting_keys(nodes: Iterable[FlowNode]) -> dict[str, list[str]]:
    """The ids of the nodes that wait for children, by queue."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        if node.status == "waiting-children":
            found.setdefault(node.key.queue, []).append(node.key.id)
    return found


def _result(node: FlowNode, sealing: Sealing) -> str:
    value = sealing.shown("result", node.key.id, node.value, queue=node.key.queue)
    return _cut(encode(value).decode())


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"
