"""How fast this host's processes get through each queue, from what they reported in the last seconds.

Only the time in which a process had jobs of the queue counts: that is what it can do, and what the drain time
needs. The statistics of the last minutes would call a process slow that was idle until a moment ago.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corral.observe.standing import Recent

#: Long enough to level out, short enough to follow.
WINDOW_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process said of one queue. `at`: when it wrote it. jobs: since its start; running: now."""

    at: float
    jobs: int
    running: int


class RateMeter:
    """`note` the reports, then ask. Pure: times come with the reports."""

    def __init__(self, window_seconds: float = WINDOW_SECONDS) -> None:
        self._window_seconds = window_seconds
        self._samples: dict[tuple[int, str], deque[Sample]] = {}

    def note(self, reports: Mapping[int, Mapping[str, Any]]) -> None:
        """Take in the health of all processes by pid; what others said before is forgotten."""
        kept = {}
        for pid, report in reports.items():
            for queue, told in report.get("queues", {}).items():
                sample = Sample(report["written_at"], told.get("jobs", 0), told.get("running", 0))
                samples = self._samples.get((pid, queue), deque())
                if not samples or sample.at > samples[-1].at:
                    samples.append(sample)
                while samples[-1].at - samples[0].at > self._window_seconds:
                    samples.popleft()
                kept[pid, queue] = samples
        self._samples = kept

    def recent(self, queue: str, processes: int) -> Recent | None:
        """What so many processes get through; None: none of ours had a job of it."""
        seconds, jobs = 0.0, 0
        for (_, name), samples in self._samples.items():
            if name != queue:
                continue
            for before, after in zip(samples, list(samples)[1:], strict=False):
                done = max(0, after.jobs - before.jobs)
                if done or after.running:
                    seconds += after.at - before.at
                    jobs += done
        if not seconds:
            return None
        # Process-seconds, shared out: so many processes take this long for these jobs.
        return Recent(window_seconds=seconds / max(1, processes), completed=jobs)
