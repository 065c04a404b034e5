"""What a check says, and what all of them together mean. Pure values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

_T = TypeVar("_T")


class Status(StrEnum):
    """From well to bad; `unknown` is what nobody could look at."""

    OK = "ok"
    NOTE = "note"
    UNKNOWN = "unknown"
    WARNING = "warning"
    FAILURE = "failure"


class Subject(StrEnum):
    """What a check is about; reports are grouped by it."""

    REDIS = "redis"
    WORKERS = "workers"
    QUEUES = "queues"
    ACCESS = "access"
    PROVIDERS = "providers"
    OPERATION = "operation"


@dataclass(frozen=True, slots=True)
class Verdict:
    """found: one line of what is there. remedy: what to do, with the command or setting, a line each."""

    status: Status
    found: str
    remedy: str = ""


def ok(found: str) -> Verdict:
    return Verdict(Status.OK, found)


def note(found: str, remedy: str = "") -> Verdict:
    return Verdict(Status.NOTE, found, remedy)


def warning(found: str, remedy: str) -> Verdict:
    return Verdict(Status.WARNING, found, remedy)


def failure(found: str, remedy: str) -> Verdict:
    return Verdict(Status.FAILURE, found, remedy)


class Unknown(Exception):
    """A check cannot be made: what it looks at was not to be had."""

    def __init__(self, found: str, remedy: str = "") -> None:
        super().__init__(found)
        self.verdict = Verdict(Status.UNKNOWN, found, remedy)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check said."""

    check: str
    subject: Subject
    status: Status
    found: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, in the order of the checklist. `at`: epoch seconds."""

    at: float
    findings: tuple[Finding, ...]

    def exit_code(self, *, strict: bool = False) -> int:
        """1 if something failed; with `strict` also for a warning, and for what nobody could look at."""
        bad = {Status.FAILURE, *((Status.WARNING, Status.UNKNOWN) if strict else ())}
        return int(any(finding.status in bad for finding in self.findings))

    @property
    def counts(self) -> Mapping[Status, int]:
        """Findings by status, zeros included."""
        found = Counter(finding.status for finding in self.findings)
        return {status: found[status] for status in Status}


def known(value: _T | None, what: str, remedy: str = "") -> _T:
    """The value, or Unknown with what it would have told."""
    if value is None:
        raise Unknown(what, remedy)
    return value


def worst(verdicts: list[Verdict], well: str) -> Verdict:
    """One verdict of many: what is worst, with all that is as bad; `well` if there is nothing to say.

    Each remedy keeps its own line: some are sentences, some commands, and run on they read as neither.
    """
    bad = [verdict for verdict in verdicts if verdict.status is not Status.OK]
    if not bad:
        return ok(well)
    order = list(Status)
    status = max((verdict.status for verdict in bad), key=order.index)
    same = [verdict for verdict in bad if verdict.status is status]
    remedies = dict.fromkeys(verdict.remedy for verdict in same if verdict.remedy)
    return Verdict(status, "; ".join(verdict.found for verdict in same), "\n".join(remedies))
