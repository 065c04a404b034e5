"""What deploy/compose.yaml says, started as plain processes: its commands, variables and secrets in files.

Paths that a container gives (/run/secrets, /tmp, /data, /var/lib/corral) are replaced by paths of this
machine, names of its network by ports on loopback.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import redis
from service import PATIENCE, environment, until

import compose_file
from corral.dashboard.users import hash_password
from redis_process import free_port, server_binary

#: Who may sign in to the dashboard.
USER = "operator"


class Container:
    """A process that stands for a container; `url`: where it answers probes."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, env: dict[str, str]) -> None:
        self.process = process
        self.url = url
        self.env = env

    def probe(self, path: str) -> int:
        """The status of a probe; 0 if nobody answers yet."""
        assert self.process.poll() is None, f"it has ended with {self.process.returncode}"
        try:
            return httpx2.get(self.url + path, timeout=PATIENCE).status_code
        except httpx2.TransportError:
            return 0

    def healthy(self) -> bool:
        """What the image's HEALTHCHECK says."""
        command = [sys.executable, str(compose_file.DEPLOY / "healthcheck.py")]
        return subprocess.run(command, env=self.env, capture_output=True, check=False).returncode == 0

    def signal(self, number: signal.Signals) -> None:
        """To the whole container, as an engine that kills does; SIGTERM goes to its first process alone."""
        if self.process.poll() is None:
            if number == signal.SIGTERM:
                self.process.terminate()
            else:
                os.killpg(self.process.pid, number)

    def ended(self) -> int:
        return self.process.wait(PATIENCE)


class Composed:
    """The services of compose.yaml. `settings` is what a user would write into .env."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.services = compose_file.read()["services"]
        self._folder = folder
        self._settings = settings
        self._redis_port = free_port()
        self._running: list[Container] = []
        self.password = "p4ss" + "word" * 8
        self.key = "k" * 40
        (folder / "secrets").mkdir()
        secrets = {
            "redis_password": self.password,
            "api_keys": f"ops:{self.key}:admin",
            "dashboard_users": f"{USER}:{hash_password(self.password)}:admin",
        }
        for name, value in secrets.items():
            (folder / "secrets" / name).write_text(value)
            (folder / "secrets" / name).chmod(0o440)
        (folder / "bin").mkdir()
        (folder / "bin" / "redis-server").symlink_to(server_binary())
        self.client = redis.Redis(
            port=self._redis_port, password=self.password, decode_responses=True, socket_timeout=PATIENCE
        )

    def start(self, service: str) -> Container:
        """One more container of a service."""
        said, port = self.services[service], free_port()
        places = {
            "/run/secrets/": f"{self._folder}/secrets/",
            "/var/lib/corral": f"{self._folder}/corral",
            "/tmp/": f"{self._made(service)}/",
            "/data": str(self._made("data")),
            "//redis:6379": f"//127.0.0.1:{self._redis_port}",
            "--port 6379": f"--port {self._redis_port} --bind 127.0.0.1",
        }

        def here(text: str) -> str:
            found = re.compile("|".join(map(re.escape, places)))
            text = found.sub(lambda match: places[match[0]], text)
            return re.sub(r"\b(3000|3002|9464)\b", str(port), text)

        command = [here(part) for part in [*said.get("entrypoint", ["corral"]), *said["command"]]]
        if command[0] == "corral":
            command[:1] = [sys.executable, "-m", "corral"]
        variables = {name: here(value) for name, value in said.get("environment", {}).items()}
        env = environment(**self._settings | variables)
        env["PATH"] = f"{self._folder}/bin:{env['PATH']}"
        process = subprocess.Popen(
            command, env=env, cwd=self._folder, start_new_session=True, stdout=subprocess.DEVNULL
        )
        container = Container(process, f"http://127.0.0.1:{port}", env)
        self._running.append(container)
        return container

    def start_redis(self) -> Container:
        """Redis, when it answers."""
        container = self.start("redis")
        until(self._pings, bool)
        return container

    def stop(self) -> None:
        self.client.close()
        for container in reversed(self._running):
            container.signal(signal.SIGCONT)
            container.signal(signal.SIGTERM)
        for container in reversed(self._running):
            try:
                container.ended()
            except subprocess.TimeoutExpired:
                container.signal(signal.SIGKILL)
                container.ended()

    def _made(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def _pings(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False


@contextmanager
def composed(folder: Path, **settings: str) -> Iterator[Composed]:
    stack = Composed(folder, **settings)
    try:
        yield stack
    finally:
        stack.stop()
