"""The tally: what one feed has seen since it started, by job name. Plain numbers in one event loop thread.

    worker.tallies["reports"].rows["build"].completed

Counts are exact: an end counts when Redis has taken it, so one that was refused (its lock was lost) does not,
and one that Redis took but whose answer was lost counts once, when it is said again and refused or taken.

Times go into the buckets of `observe.buckets`. Of a name that starts more than TIMED_A_SECOND jobs, only each
n-th is timed and counts for the n; below, every one is. A clock is read for those alone.

- `wait`: of a job's first start, from when it could have started (added + its delay, by the adder's clock)
  to when it was fetched, by the server's clock. Exact to a millisecond; a job whose delay was cut short
  (promoted) counts as 0, one with children counts their time. Later starts are not in it: nothing tells when
  a retry's delay ended.
- `run`: of one attempt in its slot, from its start to the handler's end; for a job in a batch, the wait for
  its batch too.

A tally holds MOST_NAMES names; further ones, and names that no handler knows, are in OTHER.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from corral.bullmq import settlement as wire
from corral.bullmq.settlement import Settlement
from corral.observe import buckets

#: Job names that have a row of their own.
MOST_NAMES = 200
OTHER = "other"

#: Unknown names that are kept, and the longest of them in characters: they come from outside.
MOST_UNKNOWN = 50
LONGEST_UNKNOWN = 100

#: Starts of one name in a second that are all timed. Above, timing all would cost a hundredth of the worker.
TIMED_A_SECOND = 1_000

#: How often that is judged anew, and so many may be timed within.
PACE_SECONDS = 0.25
MOST_TIMED = round(TIMED_A_SECOND * PACE_SECONDS)


@dataclass(slots=True, eq=False)
class Row:
    """One job name. All numbers only grow."""

    name: str
    #: Attempts, and those of jobs among them that had started before.
    started: int = 0
    restarted: int = 0
    completed: int = 0
    #: Ended in the dead letters.
    failed: int = 0
    #: Ended because somebody cancelled the job.
    cancelled: int = 0
    #: Attempts that failed and are tried again.
    retried: int = 0
    #: Went back unspent: Snooze, a durable wait, held by a breaker, an unknown name, a stop.
    put_back: int = 0
    #: Taken from a dead or silent worker, by this one.
    stalled: int = 0
    wait: dict[int, int] = field(default_factory=dict)
    run: dict[int, int] = field(default_factory=dict)
    wait_seconds: float = 0.0
    run_seconds: float = 0.0
    #: The number of the next start that is timed; of the last one; and how far apart they are.
    next_timed: int = 1
    timed: int = 0
    stride: int = 1
    _paced: int = 0
    _burst_ends: int = MOST_TIMED

    @property
    def first_started(self) -> int:
        return self.started - self.restarted

    @property
    def done(self) -> int:
        """Attempts that completed or failed, for good or to be tried again."""
        return self.completed + self.failed + self.retried

    def time_start(self, waited: float | None) -> int:
        """Time this start, number `started`. Returns for how many starts it stands."""
        weight = self.started - self.timed
        self.timed = self.started
        self.next_timed = self.started + self.stride
        if self.started >= self._burst_ends and self.stride == 1:
            self.stride = 20  # until `pace` knows better
        if waited is not None:
            waited = max(0.0, waited)
            bucket = buckets.index(waited)
            self.wait[bucket] = self.wait.get(bucket, 0) + weight
            self.wait_seconds += waited * weight
        return weight

    def time_end(self, seconds: float, weight: int) -> None:
        bucket = buckets.index(seconds)
        self.run[bucket] = self.run.get(bucket, 0) + weight
        self.run_seconds += seconds * weight

    def pace(self, seconds: float) -> None:
        """Fit the stride to the starts of the last `seconds`."""
        rate = (self.started - self._paced) / seconds
        self._paced = self.started
        self._burst_ends = self.started + MOST_TIMED
        self.stride = max(1, round(rate / TIMED_A_SECOND))
        self.next_timed = min(self.next_timed, self.started + self.stride)


class Tally:
    """Of one queue in one worker. `known`: the job names it has handlers for."""

    def __init__(self, known: Collection[str]) -> None:
        self.rows: dict[str, Row] = {}
        #: Locks of running jobs that another worker took, and ends that Redis refused for it.
        self.lost_locks = 0
        #: Outages of Redis that ended.
        self.reconnects = 0
        #: Names that no handler here knows, and how often one was looked at.
        self.unknown: dict[str, int] = {}
        self._known = known
        #: Rows as `row` found them, for who cannot afford to call it.
        self.by_name: dict[bytes, Row] = {}
        self._paced_at = 0.0

    def row(self, name: bytes) -> Row:
        """The row that a job of this name counts in."""
        row = self.by_name.get(name)
        if row is None:
            text = name.decode(errors="replace")
            row = self._row(text if text in self._known else OTHER)
            if row.name == text:  # else a name of outside would be remembered for ever
                self.by_name[name] = row
        return row

    def _row(self, name: str) -> Row:
        if name not in self.rows:
            if len(self.rows) >= MOST_NAMES:
                name = OTHER
            self.rows.setdefault(name, Row(name))
        return self.rows[name]

    def look_at_unknown(self, name: str) -> None:
        """A job was put back because no handler knows its name."""
        name = name[:LONGEST_UNKNOWN]
        if name in self.unknown or len(self.unknown) < MOST_UNKNOWN:
            self.unknown[name] = self.unknown.get(name, 0) + 1

    def settled(self, entries: Sequence[Settlement], rows: Sequence[Row | None]) -> None:
        """Redis took these ends, of jobs that started in these rows; None: it never started here."""
        first = rows[0]
        if first is not None and rows.count(first) == len(rows):  # nearly always, and thousands a second
            completed = [entry[2] for entry in entries].count(wire.COMPLETED)
            first.completed += completed
            if completed == len(rows):
                return
            entries = [entry for entry in entries if entry[2] != wire.COMPLETED]
        for entry, row in zip(entries, rows, strict=False):
            if row is not None:
                _count(row, entry)

    def pace(self) -> None:
        """Called with each fetch: every PACE_SECONDS, fit the timing to the rate."""
        now = perf_counter()
        if now - self._paced_at >= PACE_SECONDS:
            for row in self.rows.values():
                row.pace(now - self._paced_at)
            self._paced_at = now


def _count(row: Row, entry: Settlement) -> None:
    became = wire.outcome(entry)  # the name of a number of the row
    setattr(row, became, getattr(row, became) + 1)
