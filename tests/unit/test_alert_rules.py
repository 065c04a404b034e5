"""Every rule over hand-made standings: it fires, it does not fire, it clears."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from corral.observe.alerts.machine import Alert, read_all, step
from corral.observe.alerts.rule import duration, written
from corral.observe.alerts.rulebook import RuleBook
from corral.observe.alerts.rules import RULES
from corral.observe.standing import (
    BreakerStanding,
    QueueStanding,
    Recent,
    ServerStanding,
    Standing,
    WorkerStanding,
)

T0 = 1_700_000_000.0
BOOK = RuleBook()


def queue(name: str = "email", **fields: Any) -> Standing:
    return Standing(at=T0, queues={name: QueueStanding(queue=name, **fields)}, workers=(worker(name),))


def worker(*queues: str, version: str = "1.0", quiet: bool = False) -> WorkerStanding:
    return WorkerStanding(
        name="w", host="h", pid=1, version=version, queues=queues, slots=5, busy=0, quiet=quiet
    )


def server(**fields: Any) -> Standing:
    return Standing(at=T0, server=ServerStanding(**{"append_only": True, **fields}))


def breaker(state: str) -> Standing:
    return Standing(at=T0, breakers=(BreakerStanding(name="onfido", state=state, held=3, reason="HTTP 401"),))


def recent(**fields: Any) -> Standing:
    return queue(recent=Recent(**fields))


class Case(NamedTuple):
    """`between` keeps a firing alert and starts none; None: the rule knows no such value."""

    rule: str
    subject: str
    bad: Standing
    good: Standing
    between: Standing | None = None
    #: Further ones that must not fire.
    quiet: tuple[Standing, ...] = ()
    says: str = ""


CASES = [
    Case(
        "waiting", "email",
        bad=queue(counts={"waiting": 900, "prioritized": 101}),
        good=queue(counts={"waiting": 800}),
        between=queue(counts={"waiting": 1_000}),
        quiet=(queue(counts={"waiting": 5_000}, paused=True), queue(counts={"delayed": 5_000})),
        says="1,001 jobs wait in email, more than 1,000: scale.",
    ),
    Case(
        "failure-rate", "email",
        bad=recent(completed=18, failed=2),
        good=recent(completed=97, failed=3),
        between=recent(completed=95, failed=5),
        quiet=(recent(completed=17, failed=2), recent()),
        says="10 % of the jobs of email ended in the dead letters in the last minutes, more than 5 % "
        "(2 of 20 ended jobs).",
    ),
    Case(
        "run-time", "email",
        bad=queue(recent=Recent(run_p95=61), names={"a": Recent(run_p95=1), "b": Recent(run_p95=61)}),
        good=recent(run_p95=50),
        between=recent(run_p95=60),
        quiet=(recent(run_p50=500),),
        says="The slowest twentieth of the attempts in email took 1 min 1 s or more, over 1 min "
        "(slowest: b).",
    ),
    Case(
        "dead-letters", "email",
        bad=queue(counts={"failed": 1}), good=queue(counts={"failed": 0}),
        says="Dead letters of email: 1.",
    ),
    Case(
        "oldest-waiting", "email",
        bad=queue(oldest_waiting_seconds=301), good=queue(oldest_waiting_seconds=None),
        between=queue(oldest_waiting_seconds=300),
        quiet=(queue(oldest_waiting_seconds=9_000, paused=True),),
        says="The oldest job that could run has waited 5 min 1 s in email; its objective is 5 min.",
    ),
    Case(
        "no-workers", "email",
        bad=replace(queue(counts={"waiting": 2}), workers=(worker("other"), worker("email", quiet=True))),
        good=queue(counts={"waiting": 2}),
        quiet=(
            replace(queue(counts={"delayed": 2}), workers=()),
            replace(queue(counts={"waiting": 2}, paused=True), workers=()),
        ),
        says="2 jobs wait in email, and no live worker serves it.",
    ),
    Case(
        "paused", "email",
        bad=queue(paused=True, counts={"paused": 3, "waiting": 1}), good=queue(counts={"waiting": 3}),
        quiet=(queue(paused=True),),
        says="email is paused, and 4 jobs wait in it.",
    ),
    Case(
        "stalled", "email", bad=recent(stalled=1), good=recent(stalled=0),
        says="1 jobs of email were taken from a worker that died or fell silent, in the last minutes.",
    ),
    Case(
        "unknown-names", "email",
        bad=queue(unknown_names=("a", "b", "c", "d", "e", "f")), good=queue(),
        says="Jobs of email have names that no worker knows: a, b, c, d, e and 1 more.",
    ),
    Case(
        "schedule-late", "email/nightly",
        bad=queue(late_schedules={"nightly": 61}), good=queue(),
        between=queue(late_schedules={"nightly": 45}),
        says="The next run of email/nightly is overdue by 1 min 1 s, more than 1 min.",
    ),
    Case(
        "breaker-open", "onfido", bad=breaker("open"), good=breaker("closed"),
        says="The breaker of onfido is open: HTTP 401; 3 jobs are held.",
    ),
    Case(
        "redis-memory", "redis",
        bad=server(memory_bytes=91, memory_limit_bytes=100),
        good=server(memory_bytes=85, memory_limit_bytes=100),
        between=server(memory_bytes=88, memory_limit_bytes=100),
        quiet=(server(memory_bytes=10**12), Standing(at=T0)),
        says="Redis uses 91 % of its memory limit, more than 90 %.",
    ),
    Case(
        "persistence-off", "redis",
        bad=server(append_only=False), good=server(append_only=False, snapshots=True),
        quiet=(Standing(at=T0),),
        says="Redis writes neither an append-only file nor snapshots: a restart loses every job.",
    ),
    Case(
        "persistence-failing", "redis",
        bad=server(persistence_failing=True), good=server(),
        quiet=(Standing(at=T0),),
        says="The last write of Redis's append-only file or snapshot failed.",
    ),
    Case(
        "version-skew", "workers",
        bad=Standing(at=T0, workers=(worker("a", version="1.1"), worker("a", version="1.0"))),
        good=Standing(at=T0, workers=(worker("a"), worker("b"))),
        quiet=(Standing(at=T0),),
        says="Live workers run 1.0, 1.1.",
    ),
]  # fmt: skip


def alerts(
    standing: Standing, now: float, before: tuple[Alert, ...] = (), last: float | None = None
) -> tuple[Alert, ...]:
    return step(before, read_all(standing, BOOK), BOOK, [], now=now, last=last).alerts


def firing(case: Case) -> tuple[tuple[Alert, ...], float]:
    """The bad standing, looked at until its duration has passed."""
    now, found = T0, alerts(case.bad, T0)
    fires_at = T0 + RULES[case.rule].limits.for_seconds
    while now < fires_at:
        assert {a.state for a in found if a.rule == case.rule} == {"pending"}
        last, now = now, min(now + 200, fires_at if now >= fires_at - 0.1 else fires_at - 0.1)
        found = alerts(case.bad, now, found, last)
    return found, now


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == RULES.keys() - {"redis-down"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_it_fires_once_it_was_bad_for_its_duration(case: Case) -> None:
    found, _ = firing(case)
    (alert,) = [alert for alert in found if alert.rule == case.rule]
    assert (alert.state, alert.subject) == ("firing", case.subject)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_it_does_not_fire_for_what_is_well_or_on_the_limit(case: Case) -> None:
    for standing in (case.good, *([case.between] if case.between else []), *case.quiet):
        assert [alert for alert in alerts(standing, T0) if alert.rule == case.rule] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_it_clears_after_it_was_good_for_its_duration(case: Case) -> None:
    found, now = firing(case)
    if case.between is not None:  # the hysteresis: below where it fires, above where it clears
        later = now + 200
        found, now = alerts(case.between, later, found, now), later
        assert [a.state for a in found if a.rule == case.rule] == ["firing"]
    keep = RULES[case.rule].limits.keep_seconds
    if keep:
        found = alerts(case.good, now, found, now)
        found = alerts(case.good, now + keep - 0.1, found, now)
        assert [a.state for a in found if a.rule == case.rule] == ["firing"]
    found = alerts(case.good, now + keep, found, now)
    assert [alert for alert in found if alert.rule == case.rule] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_it_says_what_is_wrong_and_what_to_do(case: Case) -> None:
    before, now = firing(case)
    unseen = [replace(alert, told_at=None) for alert in before]
    result = step(unseen, read_all(case.bad, BOOK), BOOK, [], now=now, last=now)
    (notice,) = [notice for notice in result.notices if notice.rule == case.rule]
    assert notice.summary == case.says
    assert notice.advice
    assert "{" not in notice.advice + notice.summary
    assert notice.kind == "fired"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.25, "0.25 s"), (45, "45 s"), (60, "1 min"), (303, "5 min 3 s"), (3_600, "1 h"),
     (7_800, "2 h 10 min"), (3_605, "1 h"), (273_600, "3 d 4 h")],
)  # fmt: skip
def test_durations_as_people_read_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_name_that_a_stranger_chose_cannot_break_the_message() -> None:
    standing = queue(unknown_names=("evil\r\nBcc: x\x00{subject}",))
    now = T0 + 60
    found = alerts(standing, T0)
    result = step(found, read_all(standing, BOOK), BOOK, [], now=now, last=T0)
    (notice,) = result.notices
    assert notice.summary == "Jobs of email have names that no worker knows: evil Bcc: x {subject}."


def test_values_are_written_with_their_unit() -> None:
    assert [written(0.0714, "share"), written(12_345, "jobs"), written(90, "seconds")] == [
        "7.14 %",
        "12,345",
        "1 min 30 s",
    ]
