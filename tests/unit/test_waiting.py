"""Why a job waits: one sentence for each cause, the one that must be lifted first."""

from __future__ import annotations

from typing import Any

import pytest

from corral.waiting import Waiting, why

LINE: dict[str, Any] = {"status": "waiting", "ahead": 0, "workers": 1, "slots": 5}
DELAYED: dict[str, Any] = {"status": "delayed", "due": 100.0}
OPEN: dict[str, Any] = DELAYED | {"breaker": "onfido", "breaker_open": True}


@pytest.mark.parametrize(
    ("facts", "cause", "says"),
    [
        ({"status": "completed"}, "ended", "It has completed."),
        ({"status": "active"}, "running", "It runs."),
        ({"status": "waiting-children", "pending_children": 1}, "children", "Waiting for 1 child."),
        ({"status": "waiting-children"}, "children", "Waiting for children, and none is pending."),
        (
            OPEN | {"breaker_reason": "401."},
            "breaker",
            "Waiting because onfido's breaker is open: 401.",
        ),
        (OPEN | {"breaker_open": False}, "breaker", "Held jobs of onfido start again one by one."),
        (DELAYED | {"signal": "paid-7"}, "signal", "Waiting for the signal paid-7."),
        (DELAYED | {"unknown_name": True}, "unknown-name", "No worker of q knows the name n."),
        (
            DELAYED | {"attempts_made": 2},
            "retry",
            "Waiting for its next attempt: 2 attempts failed.",
        ),
        (DELAYED, "delayed", "Delayed: it may not start yet."),
        (LINE | {"paused": True, "workers": 0}, "paused", "Waiting because q is paused."),
        (LINE | {"workers": 0}, "no-worker", "Waiting because no worker serves q."),
        (LINE | {"group": "t1"}, "group", "Waiting for the turn of its group t1."),
        (LINE | {"group": "t1", "group_paused": True}, "group", "Waiting because its group t1 is paused."),
        (
            LINE | {"group": "lock:u7"},
            "group",
            "Waiting for the lock u7: another job holds it, or its turn comes.",
        ),
        (LINE | {"limited_for": 2.0}, "rate", "Waiting because q's rate limit is used up."),
        (
            LINE | {"concurrency": 2, "active": 2},
            "concurrency",
            "Waiting because q runs as many jobs as it may: 2.",
        ),
        (LINE | {"busy": 5}, "busy", "Waiting for a free slot: all 5 of 1 worker are busy."),
        (LINE, "next", "It is next."),
        (LINE | {"ahead": 1, "ahead_alike": 1}, "behind", "Waiting behind 1 job without a priority."),
        (
            LINE | {"ahead": 1_840, "ahead_alike": 9, "priority": 5},
            "behind",
            "Waiting behind 1,840 jobs, 9 of them at priority 5.",
        ),
        (LINE | {"ahead": None}, "behind", "Waiting in line."),
    ],
)
def test_why(facts: dict[str, Any], cause: str, says: str) -> None:
    told = why(Waiting(name="n", queue="q", **facts))
    assert (told.cause, told.says) == (cause, says)


def test_what_is_ahead_supports_the_sentence() -> None:
    told = why(Waiting(name="n", queue="q", status="waiting", paused=True, ahead=2, ahead_alike=2))
    assert told.more == "2 jobs without a priority are ahead of it."


def test_what_is_over_at_a_known_time_says_when() -> None:
    assert why(Waiting(name="n", queue="q", **DELAYED)).until == 100.0
    assert why(Waiting(name="n", queue="q", **OPEN, next_probe=7.0)).until == 7.0
    assert why(Waiting(name="n", queue="q", **LINE, limited_for=2, limited_until=9.0)).until == 9.0
