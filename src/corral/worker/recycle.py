"""Replace worker processes that have done many jobs or hold much memory, without a gap.

The successor starts first; when it is well, the old process is drained. One at a time, so that a host has at
most one process more than it should. A successor that does not come up leaves the old one where it is; it is
tried again after RETRY_SECONDS.

Emits: worker_process_recycled (pid, successor, reason), worker_process_not_recycled (pid, reason).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from corral.observe.health import STALE_SECONDS, read_reports
from corral.worker.memory import tree_bytes
from corral.worker.seat import Seat
from corral.worker.supervise import Supervisor

#: Between two looks at the processes.
INTERVAL_SECONDS = 2.0
#: A successor has so long to become well.
READY_SECONDS = 60.0
#: Between two looks at a successor.
LOOK_SECONDS = 0.2
#: After one that did not.
RETRY_SECONDS = 60.0

MB = 1024 * 1024

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """None: no limit. memory_mb: resident memory with child processes, in MiB."""

    jobs: int | None = None
    memory_mb: float | None = None


def overdue(limits: Limits, jobs: int, memory_bytes: int) -> str:
    """Why a process is to be replaced; empty: it is not. Pure."""
    if limits.jobs is not None and jobs >= limits.jobs:
        return f"{jobs:,} jobs of {limits.jobs:,}"
    if limits.memory_mb is not None and memory_bytes > limits.memory_mb * MB:
        return f"{memory_bytes / MB:,.0f} MB of {limits.memory_mb:,.0f}"
    return ""


class Recycler:
    """`run` it beside a supervisor. folder: where its processes write their health."""

    def __init__(self, limits: Limits, folder: Path, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._limits = limits
        self._folder = folder
        self._interval_seconds = interval_seconds

    async def run(self, supervisor: Supervisor) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._interval_seconds)
            if not supervisor.changeable:
                continue
            for seat, reason in await self._due(supervisor):
                if not await self._replace(supervisor, seat, reason):
                    await asyncio.sleep(RETRY_SECONDS)

    async def _due(self, supervisor: Supervisor) -> list[tuple[Seat, str]]:
        reports = fresh_reports(self._folder)
        found = []
        for seat in supervisor.seats():
            report = reports.get(seat.pid or 0)
            if report is None or seat.spare:
                continue
            memory = 0
            if self._limits.memory_mb is not None:
                memory = await asyncio.to_thread(tree_bytes, report["pid"])
            if reason := overdue(self._limits, report.get("jobs", 0), memory):
                found.append((seat, reason))
        return found

    async def _replace(self, supervisor: Supervisor, old: Seat, reason: str) -> bool:
        """False: it could not be done."""
        pid = old.pid
        if pid is None or old.retired.is_set() or not supervisor.changeable:
            return True  # it has gone by itself
        successor = supervisor.add(successor_of=f"{pid}, recycled: {reason}")
        if await self._is_ready(supervisor, successor):
            _log.info("worker_process_recycled", pid=pid, successor=successor.pid, reason=reason)
            supervisor.promote(successor, old, f"recycled: {reason}")
            return True
        _log.error("worker_process_not_recycled", pid=pid, reason="its successor did not become well")
        successor.retire("it did not become well")
        return not supervisor.changeable

    async def _is_ready(self, supervisor: Supervisor, successor: Seat) -> bool:
        limit = time.monotonic() + READY_SECONDS
        while time.monotonic() < limit and successor in supervisor.seats() and supervisor.changeable:
            report = fresh_reports(self._folder).get(successor.pid or 0)
            if report and report.get("ok"):
                return True
            await asyncio.sleep(LOOK_SECONDS)
        return False


def fresh_reports(folder: Path) -> Mapping[int, dict[str, Any]]:
    """What the processes say of themselves, by pid; of those that said it just now."""
    now = time.time()
    reports = [report for report in read_reports(folder) if now - report["written_at"] < STALE_SECONDS]
    return {report["pid"]: report for report in reports if "pid" in report}
