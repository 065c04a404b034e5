"""Keep worker processes running: start them, restart what dies, add and drain some, stop them all in order.

- A process that dies unasked starts again, with growing waits: see `restarts`.
- SIGTERM, SIGINT or `stop`: every process gets SIGTERM, and SIGKILL if it still lives after the grace time
  and a margin of 5 s. A second SIGINT (Ctrl-C, impatient) kills at once. Nothing is started from then on.
- SIGUSR1 or `quiet`: all processes take no new jobs and stay until SIGTERM; nothing is started. SIGTSTP too,
  where there is no terminal: at one, Ctrl-Z keeps its meaning. SIGUSR2: all are drained, then the run ends.
- `scale_to`: more processes are started; of too many the youngest is drained: it takes no new job, ends
  those it has, and ends. One that takes longer than the drain time for it is stopped as by SIGTERM.
- Exit code 78 (a setting is wrong) is final: all are stopped.
- `until_empty`: exit code 0 is the end of that process; the run ends when all have ended.

Processes share the terminal, standard output and standard error with the supervisor, so what one says
of its end (the message that goes with 78, a traceback) is where the operator looks already.

Limit: they outlive a supervisor that is killed with SIGKILL, unless they watch it: `until_orphaned`.

Emits: worker_process_died (pid, ended_by, lived_seconds, delay_seconds), worker_processes_stopping (reason),
worker_processes_quiet, and what a seat emits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypedDict

import structlog

from corral.errors import ConfigurationError
from corral.worker.restarts import deaths_in_a_row, in_place_of, restart_delay, verdict
from corral.worker.seat import Command, Seat, Wishes
from corral.worker.signals import DRAIN, QUIET

#: The run's exit code if a process had to be killed.
EXIT_KILLED = 1
#: Seconds beyond the grace time: a worker puts jobs back after it, which takes a few round trips.
MARGIN_SECONDS = 5.0
#: A drained process may go on with its last jobs for so many seconds.
DRAIN_SECONDS = 3_600.0
#: A process that was added counts as wanted after so many seconds: until then it may still be starting.
STARTING_SECONDS = 15.0
#: Seconds between two looks at who the parent is.
ORPHAN_POLL_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class ChildHealth(TypedDict):
    """`alive_since` is in seconds since the epoch; it and `pid` are None between a death and the restart."""

    pid: int | None
    restarts: int
    alive_since: float | None


#: What runs beside the processes and may change their number; cancelled when they have ended.
Beside = Callable[["Supervisor"], Coroutine[Any, Any, None]]


class Supervisor:
    """Run `command` in so many processes at once.

    command: takes `--replaces TEXT`, for a process that starts in the place of another, and why.
    grace_seconds: what the processes themselves give their running jobs after SIGTERM.
    drain_seconds: what a drained process gets for its last jobs.
    until_empty: processes end with exit code 0 when their queues are empty.
    env: the processes' environment; None: this process's.
    beside: run beside them, as a scaler.
    """

    def __init__(
        self,
        command: Sequence[str],
        processes: int,
        grace_seconds: float,
        *,
        drain_seconds: float = DRAIN_SECONDS,
        until_empty: bool = False,
        env: Mapping[str, str] | None = None,
        margin_seconds: float = MARGIN_SECONDS,
        beside: Sequence[Beside] = (),
    ) -> None:
        if processes < 1:
            raise ConfigurationError(f"{processes} worker processes: choose at least 1.")
        self._command = Command(
            words=list(command),
            env=env,
            stop_seconds=grace_seconds + margin_seconds,
            drain_seconds=drain_seconds,
        )
        self._until_empty = until_empty
        self._beside = beside
        self._seats = [Seat() for _ in range(processes)]
        self._at_start = frozenset(self._seats)
        self._tending: set[asyncio.Task[None]] = set()
        self._wishes = Wishes()
        #: Of all processes there ever were.
        self.restarts = 0
        self._exit_code = 0
        self._interrupts = 0
        self._running = self._emptied = False

    async def run(self) -> int:
        """Run until stopped, drained, empty or misconfigured. Returns the exit code for this process.

        0: stopped or empty; 78: a process found a setting wrong and said so; 1: one had to be killed.
        Raises ConfigurationError if the command cannot be run. Handles signals meanwhile, so it must run in
        the main thread. Cancelling it stops the processes first, with the full grace time.
        """
        with self._signals():
            self._running = True
            for seat in self._seats:
                self._tend(seat)
            beside = [asyncio.create_task(run(self)) for run in self._beside]
            try:
                return await self._all_ended()
            except asyncio.CancelledError:
                self._stop("cancelled")
                await self._all_ended()
                raise
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)

    async def _all_ended(self) -> int:
        failures = []
        while self._tending:
            ended, _ = await asyncio.wait(self._tending, return_when=asyncio.FIRST_COMPLETED)
            self._tending -= ended
            failures += [error for task in ended if (error := task.exception())]
        if failures:
            raise failures[0]
        return self._exit_code

    # What may be asked of it

    def stop(self) -> None:
        """Stop the processes as SIGTERM does; `run` returns when they have ended."""
        self._stop("asked")

    def quiet(self) -> None:
        """Let no process take a new job; all stay until `stop`. What dies from now on is not restarted."""
        if not self._is_quiet() and QUIET is not None:
            _log.info("worker_processes_quiet")
            self._wishes.quiet.set()
            for seat in self._seats:
                seat.signal(QUIET)

    def drain(self) -> None:
        """Let all processes end their jobs and go; `run` returns then."""
        self._wishes.quiet.set()
        for seat in self._seats:
            seat.retire("all are drained")

    def scale_to(self, processes: int, reason: str = "") -> None:
        """Have so many processes from now on: at least one. Ignored while they are quiet or stopping."""
        if not self.changeable:
            return
        staying = self._staying()
        for _ in range(processes - len(staying)):
            if not self._emptied:
                self.add()
        # One that waits for its restart goes first, then the youngest: it has the least to lose.
        staying.sort(key=lambda seat: seat.alive_since or float("inf"))
        for seat in staying[max(1, processes) :]:
            seat.retire(reason or f"scaled to {processes}")

    def add(self, *, successor_of: str = "") -> Seat:
        """Start one more process. successor_of: in whose place, and why; it counts once `promote` says so."""
        seat = Seat(spare=bool(successor_of), replaces=successor_of)
        self._seats.append(seat)
        self._tend(seat)
        return seat

    def promote(self, successor: Seat, old: Seat, reason: str) -> None:
        """The successor is ready: it takes the place of the old one, which is drained."""
        if old.retired.is_set():  # it went meanwhile, to make them fewer
            successor.retire("not needed any more")
        else:
            successor.spare = False
            old.retire(reason)

    @property
    def changeable(self) -> bool:
        """Processes may be added and drained: it runs, and is neither quiet nor stopping."""
        return self._running and not self._is_quiet() and not self._wishes.stopping.is_set()

    @property
    def processes(self) -> int:
        """How many there should be; those that are drained do not count."""
        return len(self._staying())

    @property
    def wanted(self) -> int:
        """How many should be well by now, for a health check: 0 while all are being stopped."""
        if self._wishes.stopping.is_set():
            return 0
        if self._is_quiet():
            return sum(seat.pid is not None for seat in self._staying())
        long_ago = time.monotonic() - STARTING_SECONDS
        return sum(seat in self._at_start or seat.added_at < long_ago for seat in self._staying())

    def seats(self) -> list[Seat]:
        """Those that are not being drained, successors included."""
        return [seat for seat in self._seats if not seat.retired.is_set()]

    def health(self) -> list[ChildHealth]:
        """One entry for each process that should run, and each that is being drained."""
        return [ChildHealth(pid=s.pid, restarts=s.restarts, alive_since=s.alive_since) for s in self._seats]

    def _is_quiet(self) -> bool:
        return self._wishes.quiet.is_set()

    def _staying(self) -> list[Seat]:
        return [seat for seat in self._seats if not seat.retired.is_set() and not seat.spare]

    # Signals

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        answers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: lambda: self._signalled(signal.SIGTERM),
            signal.SIGINT: lambda: self._signalled(signal.SIGINT),
        }
        if QUIET is not None and DRAIN is not None:
            answers |= {QUIET: self.quiet, DRAIN: self.drain}
            if not (sys.stdin and not sys.stdin.closed and sys.stdin.isatty()):
                answers[signal.SIGTSTP] = self.quiet
        for number, answer in answers.items():
            loop.add_signal_handler(number, answer)
        try:
            yield
        finally:
            for number in answers:
                loop.remove_signal_handler(number)

    def _signalled(self, number: signal.Signals) -> None:
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            self._wishes.hurry.set()
        self._stop(number.name)

    def _stop(self, reason: str) -> None:
        if not self._wishes.stopping.is_set():
            _log.info("worker_processes_stopping", reason=reason)
            self._wishes.stopping.set()

    # The life of a seat

    def _tend(self, seat: Seat) -> None:
        self._tending.add(asyncio.create_task(self._occupy(seat)))

    async def _occupy(self, seat: Seat) -> None:
        stopping = self._wishes.stopping
        deaths = 0
        try:
            while not stopping.is_set() and not seat.retired.is_set():
                if self._is_quiet():  # a process that has just been started would take jobs
                    await seat.rest(None, self._wishes)
                    continue
                end = await seat.live(self._command, self._wishes)
                if seat.killed:
                    self._exit_code = self._exit_code or EXIT_KILLED
                what = verdict(end, until_empty=self._until_empty)
                if what == "done":
                    self._emptied = self._emptied or not end.asked
                    break
                if what in ("misconfigured", "unavailable"):
                    self._exit_code = end.code if what == "misconfigured" else 1
                    self._stop(what)
                    break
                deaths = deaths_in_a_row(deaths, end)
                delay = restart_delay(deaths)
                _log.error(
                    "worker_process_died",
                    pid=end.pid,
                    ended_by=end.ended_by,
                    lived_seconds=round(end.lived_seconds, 1),
                    delay_seconds=delay,
                )
                seat.replaces = in_place_of(end)
                await seat.rest(delay, self._wishes)
                seat.restarts += 1
                self.restarts += 1
        except BaseException:
            self._stop("failed")  # the others must not go on under a supervisor that is about to end
            raise
        if not stopping.is_set():
            self._seats.remove(seat)


async def until_orphaned(parent: int) -> None:
    """Return when process `parent`, which started this one, is gone.

    For a child: a supervisor that is killed with SIGKILL can tell nobody. It says its number at the start:
    if it died before the child asked, seconds later on a busy machine, nobody would ever miss it.
    """
    while os.getppid() == parent:  # noqa: ASYNC110  # the kernel tells a child nothing
        await asyncio.sleep(ORPHAN_POLL_SECONDS)
