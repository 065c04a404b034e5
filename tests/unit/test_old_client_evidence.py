"""What tells of a client older than BullMQ 6."""

from __future__ import annotations

import pytest

from corral.bullmq.old_clients import PAUSED_LIST, evidence


@pytest.mark.parametrize(
    ("version", "paused_jobs", "seen"),
    [
        ("bullmq:5.81.3", 0, "bullmq:5.81.3"),
        ("bullmq:4.0.0", 7, "bullmq:4.0.0"),
        ("bullmq:6.7.0", 0, None),
        ("bullmq:10.0.0", 0, None),
        ("bullmq:6.7.0", 1, PAUSED_LIST),
        ("", 0, None),
        ("", 3, PAUSED_LIST),
        ("something-else:5.0.0", 0, None),
        ("bullmq:", 0, None),
    ],
)
def test_a_version_or_jobs_in_the_paused_list_tell(version: str, paused_jobs: int, seen: str | None) -> None:
    assert evidence(version, paused_jobs) == seen
