"""GET /api/v1/doctor: the production checklist, as the API's process sees it. docs/operate/doctor.md."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import Any

import msgspec
from litestar import Litestar, Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from corral.api.auth import Permission
from corral.doctor import Report, examine, gather
from corral.doctor.facts import Facts
from corral.errors import RedisUnavailable
from corral.manage.queue_names import QueueNames, names_of
from corral.manage.service import Management, asks_for

#: Seconds for all questions to Redis; a name server may take two more.
REDIS_SECONDS = 3.0

#: So long a look serves: pages ask every half a minute, and each look is a tenth of a second of work.
FRESH_SECONDS = 5.0


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
    request: Request[Any, Any, Any],
    management: NamedDependency[Management],
    only: FromQuery[str] = "",
    skip: FromQuery[str] = "",
) -> DoctorReport:
    """Go through the checklist; `only` and `skip` name checks or subjects, with commas. Within five seconds.

    The status is 200 also if something failed, and while Redis is away. Who asks within five seconds of
    another gets the same: see `at`.
    """
    facts = await _looks_of(request.app, management).facts()
    return as_rows(examine(facts, only=names(only), skip=names(skip)))


class Looks:
    """Gathers the facts for all who ask at about the same time."""

    def __init__(self, management: Management, queues: QueueNames) -> None:
        self._management = management
        self._queues = queues
        self._facts: Facts | None = None
        self._until = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def facts(self) -> Facts:
        """At most FRESH_SECONDS old."""
        async with self._one_at_a_time:
            if self._facts is None or time.monotonic() >= self._until:
                self._facts = await gather(
                    self._management.settings,
                    self._management.known.declared,
                    seconds=REDIS_SECONDS,
                    names=await self._names(),
                )
                self._until = time.monotonic() + FRESH_SECONDS
            return self._facts

    async def _names(self) -> list[str] | None:
        try:
            return sorted(queue.name for queue in (await self._queues.so_far()).queues)
        except RedisUnavailable:
            return None  # `gather` finds out why


def _looks_of(app: Litestar, management: Management) -> Looks:
    """The application's own."""
    found: Looks | None = app.state.get("doctor_looks")
    if found is None:
        found = app.state.doctor_looks = Looks(management, names_of(app, management))
    return found


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
