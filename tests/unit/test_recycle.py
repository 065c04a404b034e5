"""When a worker process is replaced."""

from __future__ import annotations

import pytest

from corral.cli.worker import limits_of
from corral.errors import ConfigurationError
from corral.worker.recycle import MB, Limits, overdue


@pytest.mark.parametrize(
    ("limits", "jobs", "memory", "reason"),
    [
        (Limits(), 10**9, 10**12, ""),
        (Limits(jobs=1_000), 999, 10**12, ""),
        (Limits(jobs=1_000), 1_000, 0, "1,000 jobs of 1,000"),
        (Limits(memory_mb=512), 10**9, 512 * MB, ""),
        (Limits(memory_mb=512), 0, 600 * MB, "600 MB of 512"),
        (Limits(jobs=10, memory_mb=512), 10, 600 * MB, "10 jobs of 10"),
    ],
)
def test_after_so_many_jobs_or_over_so_much_memory(
    limits: Limits, jobs: int, memory: int, reason: str
) -> None:
    assert overdue(limits, jobs, memory) == reason


@pytest.mark.parametrize(("jobs", "memory_mb"), [(0, None), (-1, None), (None, 0.0), (None, float("nan"))])
def test_limits_that_no_process_keeps_are_refused(jobs: int | None, memory_mb: float | None) -> None:
    with pytest.raises(ConfigurationError):
        limits_of(jobs, memory_mb)
