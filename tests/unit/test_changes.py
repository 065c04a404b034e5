"""What changed lately, as one list."""

from __future__ import annotations

from typing import Literal

from corral.audit import AuditEntry
from corral.observe.alerts.machine import Event
from corral.observe.changes import together
from corral.scaling import ScalingDecision
from corral.stats import Mark


def decision(at: float, before: int, after: int) -> ScalingDecision:
    return ScalingDecision(
        at=at, host="h", pid=1, before=before, after=after, reason="2,310 wait", queue="images", obstacle="",
        room=9, inputs={},
    )  # fmt: skip


def event(at: float, kind: Literal["fired", "resolved"]) -> Event:
    return Event(
        at=at, kind=kind, rule="oldest-waiting", subject="kyc", severity="page", value=90, summary="late"
    )


ENTRY = AuditEntry(id="1-0", at=40, actor="user:mia", action="queue.pause", target="email", facts={})


def test_all_sources_are_one_list_the_newest_first() -> None:
    found = together(
        [Mark("v1", 5), Mark("v2", 30)],
        [decision(20, 3, 5), decision(25, 5, 5)],
        [event(35, "fired"), event(50, "resolved")],
        [ENTRY],
        since=10,
        count=10,
    )
    assert [(one.at, one.kind, one.what, one.subject) for one in found] == [
        (50, "resolved", "Jobs wait too long", "kyc"),
        (40, "audit", "queue.pause", "email"),
        (35, "fired", "Jobs wait too long", "kyc"),
        (30, "deploy", "v2", ""),
        (20, "scaling", "h", "images"),
    ]
    assert (found[-1].before, found[-1].after, found[-1].detail) == (3, 5, "2,310 wait")


def test_a_stay_is_no_change_and_the_oldest_go_first() -> None:
    assert together([], [decision(20, 3, 3)], [], [], since=0, count=10) == []
    found = together([Mark("v1", 5), Mark("v2", 30)], [], [], [], since=0, count=1)
    assert [one.what for one in found] == ["v2"]


def test_an_alert_of_an_unknown_rule_keeps_its_name() -> None:
    strange = Event(at=1, kind="fired", rule="of-tomorrow", subject="x", severity="warn", value=1, summary="")
    assert together([], [], [strange], [], since=0, count=1)[0].what == "of-tomorrow"
