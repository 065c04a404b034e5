"""GET /api/v1/doctor: the production checklist, as the API's process sees it. docs/operate/doctor.md."""

from __future__ import annotations

from dataclasses import asdict

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from corral.api.auth import Permission
from corral.doctor import Report, examine, gather
from corral.manage.service import Management, asks_for

#: Seconds for all questions to Redis; a name server may take two more.
REDIS_SECONDS = 3.0


class FindingRow(msgspec.Struct, frozen=True, rename="camel"):
    """What one check said. status: ok, note, unknown, warning or failure."""

    check: str
    subject: str
    status: str
    found: str
    remedy: str


class DoctorReport(msgspec.Struct, frozen=True, rename="camel"):
    """All findings in the order of the checklist. `at` is in epoch seconds."""

    at: float
    counts: dict[str, int]
    findings: list[FindingRow]


@get("/doctor", guards=[asks_for(Permission.WATCH)], tags=["doctor"])
async def read_doctor(
    management: NamedDependency[Management], only: FromQuery[str] = "", skip: FromQuery[str] = ""
) -> DoctorReport:
    """Go through the checklist; `only` and `skip` name checks or subjects, with commas. Within five seconds.

    The status is 200 also if something failed, and while Redis is away.
    """
    facts = await gather(management.settings, management.known.declared, seconds=REDIS_SECONDS)
    return as_rows(examine(facts, only=names(only), skip=names(skip)))


def names(text: str) -> list[str]:
    """What a list with commas names."""
    return [part.strip() for part in text.split(",") if part.strip()]


def as_rows(report: Report) -> DoctorReport:
    """The report as programs get it."""
    return DoctorReport(
        at=report.at,
        counts={status.value: count for status, count in report.counts.items()},
        findings=[FindingRow(**asdict(finding)) for finding in report.findings],
    )
