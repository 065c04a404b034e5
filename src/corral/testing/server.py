"""A private Redis or Valkey server for a test session: loopback, any free port, a password, nothing on disk.

Blocking, since tests may have no event loop. The program is the one that `corral.embedded` finds. The server
has a session of its own, so that Ctrl-C reaches the tests and not it. If this process is killed, a watcher
that reads from a pipe of it ends the server. Emits nothing.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import tempfile
import time
from types import TracebackType
from typing import BinaryIO, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from corral.embedded.datadir import pick_port
from corral.embedded.locate import find_server
from corral.errors import ServerFailed

#: How long the server may take to answer for the first time, in seconds.
START_SECONDS = 15.0
#: Between two tries to reach it.
POLL_SECONDS = 0.01
#: How long it may take to answer a command. Another program that took the port may never do.
ANSWER_SECONDS = 2.0
#: How long it may take to end before it is killed.
STOP_SECONDS = 5.0
#: Another program can take the port between our choice and the server's bind; so often we choose anew.
PORT_TRIES = 3
#: Characters of the server's log that go into an error.
LOG_CHARACTERS = 2_000

#: Ends when nobody holds the other end of its input any more; then it kills the server.
_WATCH = 'cat >/dev/null; kill -9 "$0" 2>/dev/null'


class PrivateServer:
    """`with PrivateServer() as server:`, or start and stop. `url` holds the password."""

    def __init__(self) -> None:
        self.port = 0
        self.password = secrets.token_urlsafe(24)
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._client: redis.Redis | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Returns once the server answers. Raises ServerFailed."""
        program = str(find_server())
        for tries_left in reversed(range(PORT_TRIES)):
            self.port = pick_port(None)
            with tempfile.TemporaryFile() as log:
                try:
                    self._launch(program, log)
                    return
                except BaseException as error:  # Ctrl-C, too
                    self.stop()
                    if "Address already in use" not in str(error) or not tries_left:
                        raise

    def empty(self) -> None:
        """Remove everything. One round trip."""
        if self._client is None:
            raise ServerFailed("The server for tests does not run: call start() first.")
        self._client.flushall()

    def stop(self) -> None:
        """End the server. Harmless when called again."""
        if self._client is not None:
            self._client.close()
            self._client = None
        # The watcher first: once the server is gone, its number may be another program's.
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.communicate()
            self._watcher = None
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self, program: str, log: BinaryIO) -> None:
        try:
            self._process = process = subprocess.Popen(  # noqa: S603  # the program that find_server chose
                [program, "-"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=tempfile.gettempdir(),
                start_new_session=True,
            )
        except OSError as error:
            raise ServerFailed(f"{program} cannot be run: {error.strerror}.") from None
        assert process.stdin is not None  # noqa: S101  # for the type checker
        # The password is in no file and among no process's arguments. What ended already says why in its log.
        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
            stdin.write(configuration(self.port, self.password).encode())
        self._watcher = subprocess.Popen(  # noqa: S603  # a script of our own
            ["/bin/sh", "-c", _WATCH, str(process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._client = redis.Redis(
            port=self.port, password=self.password, socket_timeout=ANSWER_SECONDS, retry=Retry(NoBackoff(), 0)
        )
        give_up_at = time.monotonic() + START_SECONDS
        while True:
            try:
                self._client.ping()
                return
            except redis.RedisError:
                ended = process.poll() is not None
                if ended or time.monotonic() > give_up_at:
                    log.seek(0)
                    text = log.read().decode(errors="replace").strip()[-LOG_CHARACTERS:]
                    what = "ended at its start" if ended else f"did not answer within {START_SECONDS:g} s"
                    raise ServerFailed(f"{program} {what}. The end of its log:\n{text}") from None
            time.sleep(POLL_SECONDS)


def configuration(port: int, password: str) -> str:
    """What the server reads from its standard input."""
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        "daemonize no",
        'save ""',
        "appendonly no",
        "maxmemory-policy noeviction",
    ]
    return "\n".join(lines) + "\n"
