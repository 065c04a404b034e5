"""A job's time to live: when it has passed."""

from __future__ import annotations

import dataclasses

import pytest

from corral.bullmq.codec import JobOptions
from corral.errors import JobExpired, Unrecoverable
from corral.policy import Retention, Retry
from corral.worker.outcome import plan, refuse_expired

ADDED = 1_750_000_000_000.0
PLAN = plan(JobOptions(ttl=60), Retry(), None, Retention())


@pytest.mark.parametrize(("delay", "after_ms"), [(0.0, 60_000), (3600.0, 3_660_000)])
def test_it_passes_at_the_stroke(delay: float, after_ms: int) -> None:
    """Counted from when the job is due, not from when it was added."""
    policy = dataclasses.replace(PLAN, delay=delay)
    refuse_expired(policy, ADDED, ADDED + after_ms - 1)
    with pytest.raises(JobExpired, match=r"^Expired 0\.000 s .* within 60 s") as caught:
        refuse_expired(policy, ADDED, ADDED + after_ms)
    assert isinstance(caught.value, Unrecoverable)


def test_without_one_a_job_waits_for_ever() -> None:
    refuse_expired(dataclasses.replace(PLAN, ttl=None), ADDED, ADDED * 2)


def test_a_producer_whose_clock_is_ahead_expires_nothing() -> None:
    refuse_expired(PLAN, ADDED, ADDED - 3_600_000)
