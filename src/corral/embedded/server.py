"""Run a Valkey or Redis server: ready when `start` returns, restarted when it dies, flushed by `stop`.

Loopback only, with a password that is in a private file and never among a process's arguments.
Append-only file with fsync every second: a killed server loses nothing, a machine that loses power at most
one second of writes. The server has a session of its own, so that Ctrl-C stops the service in its own
order. If this process is killed, the server goes on until the next start on the data directory replaces it.

Options and defaults: see `EmbeddedServer`.
Emits: embedded_server_started (pid, port, program), embedded_server_died (exit_code, delay_seconds),
embedded_server_failed (reason), embedded_server_stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

import structlog

from corral.embedded.config import configuration
from corral.embedded.datadir import DataDir, pick_port, write_private
from corral.embedded.locate import find_server
from corral.embedded.stale import take_over
from corral.errors import ServerFailed
from corral.policy import Retry

#: Waits before the 1st, 2nd, … restart of a server that died by itself.
RESTART = Retry(delay=0.1, max_delay=10)
#: A server that lived this long, in seconds, starts the count anew.
STEADY_SECONDS = 60.0
#: Seconds between two tries to reach a server that is starting.
POLL_SECONDS = 0.02
#: Lines of the server's log that go into an error.
LOG_LINES = 8
#: The log is put aside at a start when it is larger, in bytes; one older log is kept.
LOG_BYTES = 1_048_576
#: Another program can take the port between our choice and the server's bind; so often we choose anew.
PORT_TRIES = 3

Answer = Literal["ready", "loading", "none"]

_log = structlog.get_logger(__name__)


class EmbeddedServer:
    """One server on one data directory. `async with EmbeddedServer(path) as server:` or start and stop.

    program: the server to run; default: the one that `find_server` finds.
    start_seconds: how long it may take to answer for the first time. Loading data is not counted.
    stop_seconds: how long it may take to flush and exit before it is killed.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        program: Path | None = None,
        start_seconds: float = 15.0,
        stop_seconds: float = 15.0,
    ) -> None:
        self.data_dir = Path(data_dir)
        self.port = 0
        self.password = ""
        self.restarts = 0
        self._program = program
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._held: DataDir | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._started_at = 0.0
        self._log_start = 0

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:port`, without the password: it may be logged."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The server's process id; None while it does not run."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the server and return once it answers.

        Raises AlreadyRunning (another process serves the directory), ServerFailed (with the last lines of
        the server's log) or ConfigurationError (the directory cannot be written).
        """
        program = self._program or find_server()
        self._held = held = DataDir.acquire(self.data_dir)
        try:
            self.password = held.password()
            self.port = held.remembered_port() or 0
            await self._start_on_a_free_port(program, held)
        except BaseException:
            await self._end_process(signal.SIGKILL)
            self._release()
            raise
        held.remember_port(self.port)
        self._watch = asyncio.create_task(self._keep_running(program, held), name="embedded-server")

    async def stop(self) -> None:
        """Flush, end the server, and let go of the data directory. Harmless when called again."""
        if self._watch:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        try:
            await self._end_process(signal.SIGTERM)
        finally:
            if self._held:
                self._release()
                _log.info("embedded_server_stopped", port=self.port)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _start_on_a_free_port(self, program: Path, held: DataDir) -> None:
        for tries_left in reversed(range(PORT_TRIES)):
            try:
                await self._launch(program, held)
                break
            except ServerFailed as error:
                if "Address already in use" not in error.message or not tries_left:
                    raise
                self.port = 0

    async def _launch(self, program: Path, held: DataDir, *, keep_port: bool = False) -> None:
        """Start the process and return once it answers."""
        lock = await take_over(held.redis / "server.lock", seconds=self._stop_seconds)
        try:
            # Only now: a stale server may have held the port.
            self.port = self.port if keep_port else pick_port(self.port or None)
            config = held.redis / "server.conf"
            write_private(config, configuration(str(held.redis), self.port, self.password))
            with open_log(held.redis) as log:
                self._log_start = log.tell()
                self._process = await asyncio.create_subprocess_exec(
                    program,
                    str(config),
                    cwd=held.redis,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(lock,),
                    start_new_session=True,
                )
        except OSError as error:
            raise ServerFailed(f"{program} cannot be run: {error.strerror}.") from None
        finally:
            os.close(lock)
        self._started_at = time.monotonic()
        await self._until_ready(program, held, self._process)
        _log.info("embedded_server_started", pid=self._process.pid, port=self.port, program=str(program))

    async def _until_ready(self, program: Path, held: DataDir, process: asyncio.subprocess.Process) -> None:
        give_up_at = time.monotonic() + self._start_seconds
        while process.returncode is None:
            answer = await ask(self.port, self.password)
            if answer == "ready":
                return
            if answer == "loading":  # reading a large file takes what it takes
                give_up_at = time.monotonic() + self._start_seconds
            elif time.monotonic() > give_up_at:
                await self._end_process(signal.SIGKILL)
                raise self._failure(program, held, f"did not answer within {self._start_seconds:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), POLL_SECONDS)
        raise self._failure(program, held, f"ended with exit code {process.returncode} at its start")

    def _failure(self, program: Path, held: DataDir, what: str) -> ServerFailed:
        log = held.redis / "server.log"
        with log.open("rb") as stream:
            stream.seek(self._log_start)
            text = stream.read(LOG_BYTES).decode(errors="replace").replace(self.password, "***")
        last = "\n".join(text.strip().splitlines()[-LOG_LINES:]) or "(it is empty)"
        return ServerFailed(f"{program} {what}. The end of {log}:\n{last}")

    async def _keep_running(self, program: Path, held: DataDir) -> None:
        failures = 0
        while True:
            if self._process:
                await self._process.wait()
            failures = 1 if time.monotonic() - self._started_at > STEADY_SECONDS else failures + 1
            delay = RESTART.wait_after(failures)
            exit_code = self._process.returncode if self._process else None
            _log.error("embedded_server_died", exit_code=exit_code, delay_seconds=delay)
            await asyncio.sleep(delay)
            try:
                await self._launch(program, held, keep_port=True)  # clients have the port
                self.restarts += 1
            except ServerFailed as error:
                _log.error("embedded_server_failed", reason=error.message)

    async def _end_process(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        for attempt in (number, signal.SIGKILL):
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(attempt)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self._stop_seconds)
                break
        self._process = None

    def _release(self) -> None:
        if self._held:
            self._held.release()
            self._held = None


def open_log(folder: Path) -> BinaryIO:
    """The server's log, to append to. A large one is put aside first."""
    log = folder / "server.log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(folder / "server.log.1")
    return log.open("ab")


async def ask(port: int, password: str) -> Answer:
    """What a server on the loopback says to AUTH and PING. One connection, one round trip."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"AUTH {password}\r\nPING\r\n".encode())
                answers = [await reader.readline(), await reader.readline()]
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return "none"
    if answers[1].startswith(b"+PONG"):
        return "ready"
    return "loading" if answers[1].startswith(b"-LOADING") else "none"
