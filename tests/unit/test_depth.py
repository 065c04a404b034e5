"""What is kept of how deep a queue is."""

from __future__ import annotations

from corral.bullmq.depths import Depth
from corral.observe.depth import depth_of
from corral.observe.standing import QueueStanding


def test_held_jobs_are_not_delayed_ones() -> None:
    counts = {"waiting": 3, "prioritized": 2, "active": 4, "delayed": 10, "failed": 7, "completed": 99}
    standing = QueueStanding(
        queue="q", counts=counts, held={"onfido": 6, "twilio": 1}, oldest_waiting_seconds=1.5
    )
    assert depth_of(standing) == Depth(waiting=5, active=4, delayed=3, held=7, failed=7, oldest_ms=1500)


def test_what_is_read_a_moment_later_is_never_below_zero() -> None:
    assert depth_of(QueueStanding(queue="q", counts={"delayed": 1}, held={"onfido": 2})).delayed == 0


def test_an_empty_queue_is_zero_and_no_gap() -> None:
    assert depth_of(QueueStanding(queue="q")) == Depth()
