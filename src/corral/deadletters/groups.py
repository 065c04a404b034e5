"""A group of dead letters as an operator sees it. Pure: made of what the index holds.

States: `open`; `resolved` until it fails again; `ignored` until a time or a number of further failures, or
for good. The index opens a group again as it meets the failure; an ignored group whose time is over counts as
open at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from corral.bullmq.dead_groups import GroupRow, Groups

State = Literal["open", "resolved", "ignored"]
STATES: tuple[State, ...] = ("open", "resolved", "ignored")


class Note(msgspec.Struct, frozen=True, rename="camel"):
    """What somebody wrote down. `at` is epoch seconds."""

    at: float
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Failed jobs of one kind. Times are epoch seconds.

    id: its fingerprint. count: jobs that are failed now; total: failures since the group is known.
    error, frame, name, text: what they have in common, see `fingerprint`.
    sample, reason: the newest of its jobs, and why that one failed, cut.
    state, state_since, state_by: see the module; ignored_until and ignored_failures say what ends it.
    reopened: what it was before it failed again, or "".
    notes: how many there are.
    """

    queue: str
    id: str
    error: str
    frame: str
    name: str
    text: str
    count: int
    total: int
    first_seen: float
    last_seen: float
    sample: str
    reason: str
    state: State
    state_since: float | None
    state_by: str
    ignored_until: float | None
    ignored_failures: int | None
    reopened: str
    notes: int

    @property
    def title(self) -> str:
        """One line for people."""
        what = " ".join(part for part in (self.error, self.text) if part) or "other failures"
        return f"{what} at {self.frame}" if self.frame else what


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the index is: `indexed` of `failed` jobs are in a group; `complete`: all of them.

    stale: jobs in the index that have left the failed set and are not yet taken out.
    bin_jobs, bin_bytes: discarded jobs that can be brought back, and about how much they take.
    """

    failed: int
    indexed: int
    stale: int
    complete: bool
    bin_jobs: int
    bin_bytes: int


@dataclass(frozen=True, slots=True)
class GroupsPage:
    """The groups of a queue, those seen last first."""

    queue: str
    groups: list[Group]
    standing: Standing


def page_of(queue: str, found: Groups, now: float, states: Sequence[State] = STATES) -> GroupsPage:
    """What Redis holds as what is shown."""
    groups = [group_of(queue, row, now) for row in found.rows]
    return GroupsPage(queue, [group for group in groups if group.state in states], standing_of(found))


def standing_of(found: Groups) -> Standing:
    indexed = min(found.indexed, found.failed)
    return Standing(
        failed=found.failed,
        indexed=indexed,
        stale=max(0, found.indexed - found.failed),
        complete=found.indexed == found.failed,
        bin_jobs=found.bin_jobs,
        bin_bytes=found.bin_bytes,
    )


def group_of(queue: str, row: GroupRow, now: float) -> Group:
    get = row.facts.get
    until, left = _seconds(get("until")), get("left")
    state = state_at(get("state", "open"), until, now)
    ignored = state == "ignored"
    return Group(
        queue=queue,
        id=row.group,
        error=get("error", ""),
        frame=get("frame", ""),
        name=get("name", ""),
        text=get("text", ""),
        count=row.size,
        total=int(get("total", "0")),
        first_seen=_seconds(get("first")) or 0.0,
        last_seen=_seconds(get("last")) or 0.0,
        sample=row.sample,
        reason=row.reason,
        state=state,
        state_since=_seconds(get("since")),
        state_by=get("by", ""),
        ignored_until=until if ignored else None,
        ignored_failures=int(left) if ignored and left is not None else None,
        reopened=get("reopened", ""),
        notes=row.notes,
    )


def state_at(stored: str, until: float | None, now: float) -> State:
    """The state that counts now. What a later version wrote and this one does not know is open."""
    if stored == "resolved":
        return "resolved"
    if stored == "ignored" and (until is None or now < until):
        return "ignored"
    return "open"


def _seconds(milliseconds: str | None) -> float | None:
    return None if not milliseconds else float(milliseconds) / 1000
