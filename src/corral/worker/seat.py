"""A seat for one worker process: start it, drain it, stop it, and kill it if it does not stop.

Emits: worker_process_started (pid), worker_process_draining (pid, reason), worker_process_drained (pid,
reason, ended_by, waited_seconds), worker_process_killed (pid, waited_seconds).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from corral.errors import ConfigurationError
from corral.worker.restarts import Exit
from corral.worker.signals import DRAIN, QUIET

#: Reasons not to start a process that pass by themselves.
SCARCE = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a seat runs; `--replaces TEXT` is added for what takes the place of another. env: None: this
    process's. stop_seconds: from SIGTERM to SIGKILL. drain_seconds: from the signal to drain to SIGTERM.
    """

    words: Sequence[str]
    env: Mapping[str, str] | None
    stop_seconds: float
    drain_seconds: float


@dataclass(frozen=True, slots=True)
class Wishes:
    """Shared by all seats. quiet: no process takes jobs; stopping: all are to end; hurry: at once."""

    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True, eq=False)
class Seat:
    """`spare`: it holds a successor that is not ready yet, and does not count.

    replaces: in whose place its next process starts, and why; it tells that to those who look on.
    """

    spare: bool = False
    replaces: str = ""
    added_at: float = field(default_factory=time.monotonic)
    pid: int | None = None
    restarts: int = 0
    alive_since: float | None = None
    #: Set: the process ends its jobs and is not started again.
    retired: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str = ""
    #: A process of it had to be killed.
    killed: bool = False
    _process: asyncio.subprocess.Process | None = None

    def retire(self, reason: str) -> None:
        """Let its process end its jobs and go, for good."""
        self.reason = self.reason or reason
        self.retired.set()

    def signal(self, number: signal.Signals) -> None:
        """Send it to the process, if there is one."""
        if self._process is not None:
            _send(self._process, number)

    async def live(self, command: Command, wishes: Wishes) -> Exit:
        """One life of a process, from its start to its end. Raises ConfigurationError if it cannot be run."""
        words = [*command.words, *(["--replaces", self.replaces] if self.replaces else [])]
        try:
            process = await asyncio.create_subprocess_exec(
                *words, env=command.env, stdin=asyncio.subprocess.DEVNULL
            )
        except OSError as error:
            if error.errno not in SCARCE:
                raise ConfigurationError(f"{command.words[0]} cannot be run: {error.strerror}.") from None
            return Exit(None, os.EX_OSERR, 0, asked=False)
        started = time.monotonic()
        self._process, self.pid, self.alive_since = process, process.pid, time.time()
        _log.info("worker_process_started", pid=process.pid)
        if wishes.quiet.is_set() and QUIET is not None:  # it was too late to tell the one being started
            _send(process, QUIET)
        asked = await self._until_ended(process, command, wishes)
        code = await process.wait()
        self._process = self.pid = self.alive_since = None
        return Exit(process.pid, code, time.monotonic() - started, asked)

    async def rest(self, seconds: float | None, wishes: Wishes) -> None:
        """Wait before a restart, no longer than until it is not wanted any more. None: until then."""
        await _first([wishes.stopping, self.retired], timeout_seconds=seconds)

    async def _until_ended(
        self, process: asyncio.subprocess.Process, command: Command, wishes: Wishes
    ) -> bool:
        """Return when the process has ended: True if it was told to."""
        ended = asyncio.create_task(process.wait())
        await _first([wishes.stopping, self.retired], ended)
        if ended.done():
            return False
        if not wishes.stopping.is_set():
            asked_at = time.monotonic()
            _log.info("worker_process_draining", pid=process.pid, reason=self.reason)
            _send(process, DRAIN or signal.SIGTERM)
            await _first([wishes.stopping], ended, command.drain_seconds)
            if ended.done():
                waited = round(time.monotonic() - asked_at, 1)
                end = Exit(process.pid, ended.result(), waited, asked=True)
                _log.info(
                    "worker_process_drained",
                    pid=process.pid,
                    reason=self.reason,
                    ended_by=end.ended_by,
                    waited_seconds=waited,
                )
                return True
        await self._stop(process, ended, command, wishes)
        return True

    async def _stop(
        self,
        process: asyncio.subprocess.Process,
        ended: asyncio.Task[int],
        command: Command,
        wishes: Wishes,
    ) -> None:
        _send(process, signal.SIGTERM)
        asked_at = time.monotonic()
        await _first([wishes.hurry], ended, command.stop_seconds)
        if not ended.done():
            _send(process, signal.SIGKILL)
            self.killed = True
            waited = round(time.monotonic() - asked_at, 1)
            _log.error("worker_process_killed", pid=process.pid, waited_seconds=waited)
            await ended


async def _first(
    events: Sequence[asyncio.Event],
    ended: asyncio.Task[int] | None = None,
    timeout_seconds: float | None = None,
) -> None:
    """Return as soon as one of the events is set, `ended` is done, or the time is over."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(
            [*waits, ended] if ended else waits,
            timeout=timeout_seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        for wait in waits:
            wait.cancel()


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
