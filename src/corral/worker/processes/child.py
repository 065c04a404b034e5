"""One child process as its worker sees it: start, run a job in it, end it.

It leads a process group of its own: Ctrl-C does not reach it, and what its handlers started dies with it.
Besides the socket it shares a pipe with the worker, the lifeline, on which nothing is ever written: its end
is the worker's end (see `main`). Starting one costs the event loop a millisecond or two.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable

import msgspec
import psutil

from corral.errors import CorralError, ProcessDied
from corral.worker.processes.failures import unpack
from corral.worker.processes.messages import (
    LENGTH,
    MAX_FRAME_BYTES,
    Answer,
    Ask,
    Done,
    End,
    FromChild,
    Raised,
    Ready,
    Run,
    decode_from_child,
    frame,
)

COMMAND = (sys.executable, "-P", "-m", "corral.worker.processes.main")

#: A child imports Python and this package: under a second, much more on an overloaded machine.
START_SECONDS = 60.0

#: Between being told and SIGKILL: time for a handler's `finally`. A stop of the worker waits for this.
TERM_SECONDS = 0.5

#: How long a process whose line broke may take to be found dead.
EXIT_SECONDS = 5.0

#: Not even SIGKILL ends a process that waits inside the kernel; the worker does not wait for it.
KILL_SECONDS = 5.0

LOOK_SECONDS = 0.005

_BROKEN = (EOFError, OSError, msgspec.DecodeError, ValueError)


class ChildNotStarted(CorralError):
    """A child process could not be started. The log of the worker says why."""


class ChildLost(CorralError):
    """A child process had died before it took its job."""


class Child:
    """A process that runs one job at a time. Made by `start`."""

    def __init__(self, process: subprocess.Popen[bytes], lifeline: int) -> None:
        self._process = process
        self._lifeline = lifeline
        self._reader = asyncio.StreamReader()
        self._writer: asyncio.StreamWriter | None = None
        self.jobs = 0
        #: It has given its last answer in order, and can take a job.
        self.ready = False
        #: Why the worker killed it, for the error of its job.
        self.killed_because: str | None = None

    @classmethod
    async def start(cls) -> Child:
        """Start it and wait until it is ready. Raises ChildNotStarted."""
        ours, theirs = socket.socketpair()
        their_lifeline, lifeline = os.pipe()
        with theirs:
            command = [*COMMAND, str(theirs.fileno()), str(their_lifeline)]
            try:
                process = subprocess.Popen(  # noqa: ASYNC220, S603  # see the module; our own, no shell
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=sys.stderr.fileno() if _has_descriptor() else None,
                    pass_fds=[theirs.fileno(), their_lifeline],
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
                    start_new_session=True,
                )
            except (OSError, subprocess.SubprocessError) as error:
                ours.close()
                os.close(lifeline)
                raise ChildNotStarted(f"A child process could not be started: {error}.") from error
            finally:
                os.close(their_lifeline)
        child = cls(process, lifeline)
        try:
            child._reader, child._writer = await asyncio.open_unix_connection(sock=ours)
            async with asyncio.timeout(START_SECONDS):
                child.ready = isinstance(await child._receive(), Ready)
        except (*_BROKEN, TimeoutError) as error:
            await child.end()
            raise ChildNotStarted(
                f"A child process did not get ready (exit code {process.returncode})."
            ) from error
        except BaseException:
            child.kill()
            child._wait_briefly()
            child._reap()
            raise
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._exited()

    def memory_bytes(self) -> int:
        """Resident memory of the process itself, without what its handlers started. 0: it is gone."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    async def run(self, run: Run, answer: Callable[[Ask], Awaitable[Answer]]) -> bytes:
        """One job; its result as JSON. Raises what its handler raised, ProcessDied, or ChildLost."""
        self.jobs += 1
        self.ready = False
        try:
            await self._send(run)
            await self._receive()  # Started
        except _BROKEN as error:
            raise ChildLost from error
        try:
            message = await self._receive()
            while isinstance(message, Ask):
                await self._send(await answer(message))
                message = await self._receive()
        except _BROKEN as error:
            raise await self._epitaph(run.id) from error
        self.ready = True
        if isinstance(message, Done):
            return message.value
        assert isinstance(message, Raised)  # noqa: S101  # the others come before
        raise unpack(message.failure)

    async def _send(self, message: Run | Answer) -> None:
        assert self._writer is not None  # noqa: S101  # `start` made it
        self._writer.write(frame(message))
        await self._writer.drain()

    async def _receive(self) -> FromChild:
        size = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))[0]
        if size > MAX_FRAME_BYTES:
            raise ValueError("no frame of ours is so long")
        message: FromChild = decode_from_child(await self._reader.readexactly(size))
        return message

    async def _epitaph(self, job_id: str) -> ProcessDied:
        await self._gone(EXIT_SECONDS)
        await self.end()
        how = self.killed_because or f"it died of {_cause(self._process.returncode)}"
        return ProcessDied(f"The process of job {job_id} is gone: {how}.")

    async def end(self) -> None:
        """Tell it to end, wait a moment, SIGKILL it and what it started. Returns when it is gone."""
        if not self._exited() and self._writer is not None:
            with contextlib.suppress(*_BROKEN):
                self._writer.write(frame(End()))
            await self._gone(TERM_SECONDS)
        self.kill()
        await self._gone(KILL_SECONDS)
        self._reap()

    def kill(self) -> None:
        """SIGKILL to its whole group, at once."""
        if self._process.returncode is None:  # not reaped: the number is still its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def notice_death(self) -> None:
        """A grandchild may hold the line open after its death: then whoever reads would wait for ever."""
        if self._exited() and self._writer is not None:
            self._writer.close()
            self._reader.feed_eof()

    def _exited(self) -> bool:
        if self._process.returncode is not None:
            return True
        try:  # without taking its status, so that its group can still be killed
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        except ChildProcessError:
            return True

    async def _gone(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        limit = loop.time() + seconds
        while not self._exited() and loop.time() < limit:  # noqa: ASYNC110  # processes set no event
            await asyncio.sleep(LOOK_SECONDS)

    def _wait_briefly(self) -> None:
        """A process takes about a millisecond to die of SIGKILL."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_SECONDS)

    def _reap(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._process.poll() is not None and self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


def _has_descriptor() -> bool:
    try:
        return sys.stderr.fileno() >= 0
    except (OSError, ValueError, AttributeError):
        return False


def _cause(code: int | None) -> str:
    if code is None:
        return "nothing: it cannot be ended"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
