"""What the routes of the dead letter desk take and give, in the words of the library with JSON's names."""

from __future__ import annotations

from typing import Annotated, Any, Self

import msgspec

from corral.dead import Filter, Target
from corral.deadletters.operations import Kind, OperationState

Seconds = Annotated[float, msgspec.Meta(ge=0)]


class View(msgspec.Struct, frozen=True, rename="camel"):
    """Made of an object of the library that has the same names."""

    @classmethod
    def of(cls, thing: Any, **more: Any) -> Self:
        return cls(**{n: getattr(thing, n) for n in cls.__struct_fields__ if n not in more}, **more)


class GroupView(View, frozen=True):
    """Failed jobs of one kind: see `corral.deadletters.groups.Group`. Times are epoch seconds.

    redacted: what the jobs said as they failed (title, text, reason) is left out; it quotes payloads.
    """

    queue: str
    id: str
    title: str
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
    state: str
    state_since: float | None
    state_by: str
    ignored_until: float | None
    ignored_failures: int | None
    reopened: str
    notes: int
    redacted: bool

    @classmethod
    def seen(cls, group: Any, *, payloads: bool) -> Self:
        """As somebody sees it who may see payloads, or may not."""
        said = {} if payloads else {"title": group.error, "text": "", "reason": ""}
        return cls.of(group, redacted=not payloads, **said)


class StandingView(View, frozen=True):
    """`indexed` of `failed` jobs are in a group; `complete`: the index says what the queue says."""

    failed: int
    indexed: int
    stale: int
    complete: bool
    bin_jobs: int
    bin_bytes: int


class GroupsView(msgspec.Struct, frozen=True, rename="camel"):
    """The groups of one queue, those seen last first."""

    queue: str
    groups: list[GroupView]
    standing: StandingView


class OperationView(View, frozen=True):
    """An operation on many dead letters: see `corral.deadletters.operations.Operation`."""

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
    left: int
    binned: int
    final: int
    undo_until: float | None
    rate: float | None
    breaker: str
    undoes: str
    created: float
    ended: float | None


class AllGroupsView(msgspec.Struct, frozen=True, rename="camel"):
    """The groups of all queues, those seen last first, and how each queue's index stands.

    whole: false until all that Redis holds was looked at once after a start: a queue whose dead letters
    nobody has looked at yet may be missing. hours: of the first groups, by queue and group: how many of their
    jobs failed in each of the last 24 hours, oldest first. operations: those that began last, newest first.
    """

    at: float
    whole: bool
    groups: list[GroupView]
    queues: dict[str, StandingView]
    hours: dict[str, dict[str, list[int]]]
    operations: list[OperationView]


class NoteView(View, frozen=True):
    at: float
    by: str
    text: str


class GroupDetail(msgspec.Struct, frozen=True, rename="camel"):
    group: GroupView
    notes: list[NoteView]


class AttemptView(View, frozen=True):
    number: int
    error: str
    frame: str
    trace: str


class LetterView(View, frozen=True):
    """One dead letter: see `corral.deadletters.letters.Letter`. Unless asked for, `data` and `checkpoint` are
    null and `hasData` is false. redacted: `reason`, traces and logs are left out too; they quote payloads.
    """

    queue: str
    id: str
    name: str
    group: str
    reason: str
    cancelled: bool
    attempts_made: int
    attempts: list[AttemptView]
    enqueued_at: float | None
    started_at: float | None
    finished_at: float | None
    waited: float | None
    ran: float | None
    processed_by: str | None
    priority: int
    stalled: int
    has_data: bool
    data: Any
    checkpoint: Any
    edited: bool
    parent: str
    breaker: str
    breaker_open: bool
    logs: list[str]
    log_rows: int
    redacted: bool


class LetterRow(View, frozen=True):
    """A dead letter in a list. data: as JSON, cut, if it was asked for. failedReason: null for who may not
    see payloads, which it quotes.
    """

    id: str
    name: str
    failed_reason: str | None
    attempts_made: int
    enqueued_at: float | None
    started_at: float | None
    finished_at: float | None
    processed_by: str | None
    data: str | None = None


class LettersPage(msgspec.Struct, frozen=True, rename="camel"):
    """`cursor`: give it to the next call; null: that was all. `searched` of `total` jobs were looked at."""

    jobs: list[LetterRow]
    cursor: str | None = None
    searched: int | None = None
    total: int | None = None


class PreviewView(View, frozen=True):
    """The dry run of an operation; `complete` false: give `cursor` to the next call and add the counts up."""

    about: str
    count: int
    sample: list[str]
    complete: bool
    searched: int
    total: int
    cursor: str | None
    bin_jobs: int
    bin_bytes: int


class PolicyView(View, frozen=True):
    """How long dead letters stay: see `corral.deadletters.policy.Policy`."""

    age: float | None
    count: int | None
    forget_after: float | None
    failed: int
    due: int
    oldest: float | None
    bin_seconds: float
    bin_jobs: int
    bin_bytes: int


class About(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which dead letters: one of `group`, `ids` and `filter`; an empty filter means all."""

    group: str = ""
    ids: list[str] = []
    filter: Filter | None = None

    def target(self) -> Target:
        return Target(self.group, self.ids, self.filter)


class Asked(About, frozen=True, rename="camel", forbid_unknown_fields=True):
    """An operation. rate: jobs a second. breaker: it runs only while that is closed."""

    rate: float | None = None
    breaker: str = ""


class AskedPreview(About, frozen=True, rename="camel", forbid_unknown_fields=True):
    cursor: str | None = None


class Edited(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The new data, and whether the job runs again with it."""

    data: Any
    retry: bool = True


class Ignored(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Until a time in epoch seconds, or so many further failures; without both, until it is opened again."""

    until: float | None = None
    failures: int | None = None


class NewNote(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    text: str


class AskedPurge(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Remove what failed over `olderThan` seconds ago, for good; at most `limit` jobs a call."""

    older_than: Seconds
    dry_run: bool = True
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 10_000


class Purged(msgspec.Struct, frozen=True, rename="camel"):
    """How many were removed, or would be; `left`: as many again are to go, ask again."""

    removed: int
    dry_run: bool
    left: int
