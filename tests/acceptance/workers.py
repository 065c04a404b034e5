"""Worker processes of the tests, as the supervisor starts them, and the ledger of what they did."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from service import environment

from redis_process import RedisProcess

CHILDREN = Path(__file__).parent / "children"


class Workers:
    """Processes that run a file of children/."""

    def __init__(
        self,
        server: RedisProcess,
        health_dir: Path,
        target: str = "ledger_jobs:queue",
        *,
        cwd: Path | str = CHILDREN,
        **env: str,
    ) -> None:
        self._cwd = cwd
        self._target = target
        self._health_dir = health_dir
        self._env = environment(REDIS_URL=server.url, LEDGER_URL=f"{server.url}/1", **env)
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, **env: str) -> subprocess.Popen[bytes]:
        """One more. `env`: what is different for this one."""
        command = [sys.executable, "-m", "corral.worker.process", self._target, "--quiet"]
        command += ["--health-dir", str(self._health_dir)]
        process = subprocess.Popen(command, cwd=self._cwd, env=self._env | env)
        self.running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> int:
        """kill -9. Returns the pid that was."""
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        self.running.remove(process)
        return process.pid

    def health(self) -> list[dict[str, Any]]:
        reports = []
        for file in self._health_dir.glob("*.json"):
            try:
                reports.append(json.loads(file.read_text()))
            except (OSError, ValueError):
                continue  # being replaced
        return reports

    def stop(self) -> None:
        for process in self.running:
            process.terminate()
        for process in self.running:
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def workers(
    server: RedisProcess,
    health_dir: Path,
    target: str = "ledger_jobs:queue",
    *,
    cwd: Path | str = CHILDREN,
    **env: str,
) -> Iterator[Workers]:
    group = Workers(server, health_dir, target, cwd=cwd, **env)
    try:
        yield group
    finally:
        group.stop()


class Ledger:
    """What was really done, kept beside the queue."""

    def __init__(self, server: RedisProcess) -> None:
        self._client = redis.Redis.from_url(f"{server.url}/1", decode_responses=True, socket_timeout=5)

    def done(self) -> dict[int, int]:
        """Job number to how often it was done."""
        counts: Any = self._client.hgetall("done")
        return {int(number): int(times) for number, times in counts.items()}

    def count(self) -> int:
        return int(str(self._client.hlen("done")))

    def runs(self, number: int) -> list[int]:
        """The processes that started this job, in order."""
        rows: Any = self._client.lrange(f"runs:{number}", 0, -1)
        return [int(pid) for pid in rows]

    def started(self, numbers: Iterable[int]) -> set[int]:
        """Those of these jobs that ran at least once."""
        return {number for number in numbers if self.runs(number)}

    def open(self, pid: int | None = None) -> None:
        """Let the gated jobs of a process end, or of all."""
        self._client.set("open" if pid is None else f"open:{pid}", 1)

    def close(self) -> None:
        self._client.close()


def counts(server: RedisProcess, queue: str = "ledger") -> dict[str, int]:
    """Jobs of the queue by where they are."""
    client, base = server.client, f"bull:{queue}:"
    lists = {place: int(str(client.llen(base + place))) for place in ("wait", "active")}
    sets = ("delayed", "prioritized", "completed", "failed")
    return lists | {place: int(str(client.zcard(base + place))) for place in sets}
