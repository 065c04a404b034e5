"""The worker processes of one host, put together: a supervisor, and beside it what scales and replaces them.

`Host` says what is to run; `supervisor()` makes it. For `corral worker`, `corral up` and the demo.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from corral.settings import Settings
from corral.worker.autoscale import Bounds
from corral.worker.recycle import Limits, Recycler
from corral.worker.scaling import Scaler
from corral.worker.supervise import Beside, Supervisor
from corral.worker.target import load_worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """folder: where the processes write their health. options: further words of their command line."""

    folder: Path
    processes: Bounds
    target: str | None = None
    queues: Sequence[str] = ()
    concurrency: int = 20
    until_empty: bool = False
    limits: Limits = field(default_factory=Limits)
    options: Sequence[str] = ()

    def supervisor(self, settings: Settings) -> Supervisor:
        """Raises ConfigurationError, UnknownQueue if their number is to follow queues that are not found."""
        return Supervisor(
            self._command(),
            self.processes.least,
            settings.grace_seconds,
            drain_seconds=settings.drain_seconds,
            until_empty=self.until_empty,
            beside=self._beside(settings),
        )

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "corral.worker.process"]
        command += [self.target] if self.target else []
        command += ["--queues", ",".join(self.queues), "--concurrency", str(self.concurrency)]
        command += ["--health-dir", str(self.folder), "--supervisor", str(os.getpid())]
        command += ["--until-empty"] if self.until_empty else []
        return [*command, *self.options]

    def _beside(self, settings: Settings) -> list[Beside]:
        beside: list[Beside] = []
        if not self.processes.fixed:
            # The supervisor itself runs no job; it needs to know which queues to look at.
            worker = load_worker(self.target, self.queues, self.concurrency)
            scaler = Scaler(worker.queues, worker.concurrency, self.processes, settings, self.folder)
            beside.append(scaler.run)
        if self.limits != Limits():
            beside.append(Recycler(self.limits, self.folder).run)
        return beside
