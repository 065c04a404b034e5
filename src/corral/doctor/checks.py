"""The checklist, and going through it."""

from __future__ import annotations

from collections.abc import Collection

from corral.doctor import (
    access_checks,
    operating_checks,
    provider_checks,
    queue_checks,
    server_checks,
    worker_checks,
)
from corral.doctor.check import Check
from corral.doctor.facts import Facts
from corral.doctor.findings import Finding, Report, Subject, Unknown, Verdict
from corral.errors import InvalidInput

#: All checks, in the order in which they are shown.
CHECKS: tuple[Check, ...] = (
    *server_checks.CHECKS,
    *worker_checks.CHECKS,
    *queue_checks.CHECKS,
    *access_checks.CHECKS,
    *provider_checks.CHECKS,
    *operating_checks.CHECKS,
)


def examine(facts: Facts, *, only: Collection[str] = (), skip: Collection[str] = ()) -> Report:
    """Go through the checklist.

    only, skip: names of checks or subjects; nothing in `only` means all. Raises InvalidInput for other names.
    """
    names = {*Subject, *(check.name for check in CHECKS)}
    if strange := sorted({*only, *skip} - names):
        raise InvalidInput(f"There is no check {', '.join(strange)}. There are: {', '.join(sorted(names))}.")
    chosen = [
        check
        for check in CHECKS
        if (not only or {check.name, check.subject} & set(only))
        and not {check.name, check.subject} & set(skip)
    ]
    return Report(facts.at, tuple(_finding(check, _judge(check, facts)) for check in chosen))


def _judge(check: Check, facts: Facts) -> Verdict:
    try:
        return check.judge(facts)
    except Unknown as unknown:
        return unknown.verdict


def _finding(check: Check, verdict: Verdict) -> Finding:
    return Finding(check.name, check.subject, verdict.status, verdict.found, verdict.remedy)
