"""Keep N worker processes running: start them, restart what dies, stop them all in order.

- A child that dies unasked starts again after 0.5 s, doubling to 30 s; 60 s of life start the count anew.
- SIGTERM, SIGINT or `stop`: every child gets SIGTERM, and SIGKILL if it still lives after the grace time and
  a margin of 5 s. A second SIGINT (Ctrl-C, impatient) kills at once. Nothing is restarted from then on.
- Exit code 78 (EX_CONFIG: a setting is wrong) is final, since a restart cannot help: all are stopped.
- `until_empty`: exit code 0 is the end of that child; the run ends when all have ended.

Children share the terminal, standard output and standard error with the supervisor, so what a child says
of its end (the message that goes with 78, a traceback) is where the operator looks already.

Limit: children outlive a supervisor that is killed with SIGKILL, unless they watch it: `until_orphaned`.

Emits: worker_process_started (pid), worker_process_died (pid, ended_by, lived_seconds, delay_seconds),
worker_process_killed (pid, waited_seconds), worker_processes_stopping (reason).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import structlog

from corral.errors import ConfigurationError
from corral.policy import Retry

#: EX_CONFIG of sysexits.h: what `corral worker` exits with for a ConfigurationError.
EXIT_CONFIGURATION = 78
#: The run's exit code if a child had to be killed.
EXIT_KILLED = 1
#: Seconds before the 1st, 2nd, … restart in a row.
RESTART = Retry(delay=0.5, max_delay=30)
#: A child that lived this long, in seconds, was well: its next death counts as the first.
STEADY_SECONDS = 60.0
#: Seconds beyond the grace time: a worker puts jobs back after it, which takes a few round trips.
MARGIN_SECONDS = 5.0
#: Reasons not to start a process that pass by themselves.
SCARCE = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
#: Seconds between two looks at who the parent is.
ORPHAN_POLL_SECONDS = 1.0

Verdict = Literal["restart", "done", "misconfigured"]

_log = structlog.get_logger(__name__)


class ChildHealth(TypedDict):
    """`alive_since` is in seconds since the epoch; it and `pid` are None between a death and the restart."""

    pid: int | None
    restarts: int
    alive_since: float | None


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended. `code` is negative for a signal, as in asyncio; `asked`: it was told to stop."""

    pid: int | None
    code: int
    lived_seconds: float
    asked: bool

    @property
    def ended_by(self) -> str:
        if self.code >= 0:
            return f"exit code {self.code}"
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return f"signal {-self.code}"


def verdict(end: Exit, *, until_empty: bool) -> Verdict:
    """What to do after a child has ended."""
    if end.asked:
        return "done"
    if end.code == EXIT_CONFIGURATION:
        return "misconfigured"
    if end.code == 0 and until_empty:
        return "done"
    return "restart"


def deaths_in_a_row(before: int, end: Exit) -> int:
    """The count that `restart_delay` takes, after one more death."""
    return 1 if end.lived_seconds >= STEADY_SECONDS else before + 1


def restart_delay(deaths: int) -> float:
    """Seconds to wait before the restart after that many deaths in a row (1 is the first)."""
    return RESTART.wait_after(deaths)


@dataclass(slots=True)
class _Child:
    pid: int | None = None
    restarts: int = 0
    alive_since: float | None = None


class Supervisor:
    """Run `command` in so many processes at once.

    grace_seconds: what the children themselves give their running jobs after SIGTERM.
    until_empty: children end with exit code 0 when their queues are empty.
    env: the children's environment; None: this process's.
    """

    def __init__(
        self,
        command: Sequence[str],
        processes: int,
        grace_seconds: float,
        *,
        until_empty: bool = False,
        env: Mapping[str, str] | None = None,
        margin_seconds: float = MARGIN_SECONDS,
    ) -> None:
        if processes < 1:
            raise ConfigurationError(f"{processes} worker processes: choose at least 1.")
        self._command = list(command)
        self._env = env
        self._until_empty = until_empty
        self._patience_seconds = grace_seconds + margin_seconds
        self._children = [_Child() for _ in range(processes)]
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._exit_code = 0
        self._interrupts = 0
        #: Processes started in place of one that ended; only grows.
        self.restarts = 0

    async def run(self) -> int:
        """Run until stopped, empty or misconfigured. Returns the exit code for this process.

        0: stopped or empty; 78: a child found a setting wrong and said so; 1: a child had to be killed.
        Raises ConfigurationError if the command cannot be run. Handles SIGTERM and SIGINT meanwhile, so
        it must run in the main thread. Cancelling it stops the children first, with the full grace time.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        tending = [asyncio.create_task(self._tend(child)) for child in self._children]
        try:
            await asyncio.wait(tending)
        except asyncio.CancelledError:
            self._stop("cancelled")
            await asyncio.wait(tending)
            raise
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
        await asyncio.gather(*tending)  # raises what one of them raised
        return self._exit_code

    def stop(self) -> None:
        """Stop the children as SIGTERM does; `run` returns when they have ended."""
        self._stop("asked")

    def health(self) -> list[ChildHealth]:
        """One entry for each process that should run."""
        return [
            ChildHealth(pid=c.pid, restarts=c.restarts, alive_since=c.alive_since) for c in self._children
        ]

    def _signalled(self, number: signal.Signals) -> None:
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            self._hurry.set()
        self._stop(number.name)

    def _stop(self, reason: str) -> None:
        if not self._stopping.is_set():
            _log.info("worker_processes_stopping", reason=reason)
            self._stopping.set()

    async def _tend(self, child: _Child) -> None:
        deaths = 0
        try:
            while not self._stopping.is_set():
                end = await self._live(child)
                what = verdict(end, until_empty=self._until_empty)
                if what == "done":
                    return
                if what == "misconfigured":
                    self._exit_code = end.code
                    self._stop(what)
                    return
                deaths = deaths_in_a_row(deaths, end)
                delay = restart_delay(deaths)
                _log.error(
                    "worker_process_died",
                    pid=end.pid,
                    ended_by=end.ended_by,
                    lived_seconds=round(end.lived_seconds, 1),
                    delay_seconds=delay,
                )
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), delay)
                child.restarts += 1
                self.restarts += 1
        except BaseException:
            self._stop("failed")  # the others must not go on under a supervisor that is about to end
            raise

    async def _live(self, child: _Child) -> Exit:
        """One life of a child, from its start to its end."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, env=self._env, stdin=asyncio.subprocess.DEVNULL
            )
        except OSError as error:
            if error.errno not in SCARCE:
                raise ConfigurationError(f"{self._command[0]} cannot be run: {error.strerror}.") from None
            return Exit(None, os.EX_OSERR, 0, asked=False)
        started = time.monotonic()
        child.pid, child.alive_since = process.pid, time.time()
        _log.info("worker_process_started", pid=process.pid)
        asked = await self._until_ended(process)
        code = await process.wait()
        child.pid = child.alive_since = None
        return Exit(process.pid, code, time.monotonic() - started, asked)

    async def _until_ended(self, process: asyncio.subprocess.Process) -> bool:
        """Return when the process has ended: True if it was told to, by SIGTERM and if need be SIGKILL."""
        ended = asyncio.create_task(process.wait())
        if await _first(ended, self._stopping.wait()):
            return False
        _send(process, signal.SIGTERM)
        asked_at = time.monotonic()
        if not await _first(ended, self._hurry.wait(), self._patience_seconds):
            _send(process, signal.SIGKILL)
            self._exit_code = self._exit_code or EXIT_KILLED
            _log.error(
                "worker_process_killed", pid=process.pid, waited_seconds=round(time.monotonic() - asked_at, 1)
            )
            await ended
        return True


async def until_orphaned(parent: int) -> None:
    """Return when process `parent`, which started this one, is gone. Call it with an early `os.getppid()`.

    For a child: a supervisor that is killed with SIGKILL can tell nobody.
    """
    while os.getppid() == parent:  # noqa: ASYNC110  # the kernel tells a child nothing
        await asyncio.sleep(ORPHAN_POLL_SECONDS)


async def _first(
    ended: asyncio.Task[int], signal_: Coroutine[Any, Any, Any], timeout_seconds: float | None = None
) -> bool:
    """True as soon as `ended` is done; False if the other comes first or the time is over."""
    other = asyncio.create_task(signal_)
    try:
        await asyncio.wait({ended, other}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        other.cancel()
    return ended.done()


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
