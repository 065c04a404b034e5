"""The processes under fault: workers by slot, the API, the producers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bench.programs import node
from bench.server import free_port
from bench.soak import ROOT
from bench.soak.ledger import Answer, Ledger
from bench.soak.numbers import PRODUCERS
from bench.soak.plan import WORKERS
from bench.soak.world import PREFIX, Servers

#: Of the workers. The defaults are 30; shorter, so that a run sees more rescues.
LOCK_SECONDS, STALLED_SECONDS, GRACE_SECONDS = 10, 3, 10
#: For a process to end by itself.
PATIENCE_SECONDS = 60.0


def environment(**more: str) -> dict[str, str]:
    """This process's, without settings of Corral, and with this checkout's packages."""
    ours = ("CORRAL_", "REDIS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    return kept | {"PYTHONPATH": path, "CORRAL_PREFIX": PREFIX} | more


def end(process: subprocess.Popen[Any]) -> None:
    """SIGTERM, and SIGKILL where that does not help."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Crew:
    """Worker processes in slots; each slot has its own address of Redis."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        self._servers = servers
        self._folder = folder
        self.version = 1
        #: Who changes a slot holds its lock.
        self.locks = [asyncio.Lock() for _ in range(WORKERS)]
        #: Workers that ended otherwise than they were asked to: what is said of them, by process.
        self.surprises: dict[int, str] = {}
        self.running = [self._start(slot) for slot in range(WORKERS)]

    def _start(self, slot: int) -> subprocess.Popen[bytes]:
        env = environment(
            REDIS_URL=self._servers.url_for(f"worker {slot}"),
            SOAK_LEDGER=str(self._folder),
            SOAK_VERSION=str(self.version),
            CORRAL_LOCK_SECONDS=str(LOCK_SECONDS),
            CORRAL_STALLED_SECONDS=str(STALLED_SECONDS),
            CORRAL_GRACE_SECONDS=str(GRACE_SECONDS),
        )
        command = [sys.executable, "-m", "corral.worker.process", "bench.soak.handlers:queue", "--quiet"]
        command += ["--concurrency", "30", "--json-logs"]
        with (self._folder / f"worker-{slot}.log").open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def replace(self, slot: int) -> None:
        """Start another one in the slot of one that has ended."""
        self.running[slot] = self._start(slot)

    def is_up(self, slot: int) -> bool:
        """It has loaded its handlers, which open its ledger."""
        return (self._folder / f"work-{self.running[slot].pid}.sqlite").exists()

    async def look(self) -> None:
        """Note and replace who ended by itself."""
        for slot, lock in enumerate(self.locks):
            if not lock.locked() and (code := self.running[slot].poll()) is not None:
                self.surprises[self.running[slot].pid] = f"worker {slot} ended by itself with {code}"
                self.replace(slot)

    def stop(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.running:
            end(process)


class Api:
    """`corral api` on a port that stays."""

    KEY = "soak-key-0123456789abcdef"

    def __init__(self, servers: Servers, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._env = environment(
            REDIS_URL=servers.url_for("api"), CORRAL_API_KEYS=f"soak:{self.KEY}:enqueue", CORRAL_SANDBOX="1"
        )
        self._log = folder / "api.log"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "corral", "api", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self._env, stdout=log, stderr=log)


class Producer:
    """One that adds, and says how each add ended. A thread writes that down."""

    def __init__(self, name: str, command: list[str], ledger: Ledger, log: Path) -> None:
        self.name = name
        self._ledger = ledger
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout  # Popen was asked for a pipe
        for line in self._process.stdout:
            said = json.loads(line)
            self._ledger.answer(Answer(said["number"], self.name, said["job"], time.time(), said["error"]))

    def tell(self, **order: object) -> None:
        assert self._process.stdin  # Popen was asked for a pipe
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        """Let it wait for its last answers, and read them all."""
        if self._process.poll() is None:
            self.tell(stop=True)
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(PATIENCE_SECONDS)
        assert self._process.stdin  # Popen was asked for pipes
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        if self._process.returncode:
            raise RuntimeError(f"the {self.name} producer ended with {self._process.returncode}: see its log")


def producers(servers: Servers, api: Api, ledger: Ledger, folder: Path, rate: float) -> dict[str, Producer]:
    """All three, each with its share of the rate (jobs a second)."""
    share, step = str(rate / len(PRODUCERS)), str(len(PRODUCERS))
    modules = ROOT / "tests" / "interop" / "node_modules"
    script = str(Path(__file__).with_name("producer.mjs"))
    python = [sys.executable, "-m", "bench.soak.producer"]
    commands = {
        "python": [*python, "python", servers.url_for("producer"), "0", step, share],
        "http": [*python, "http", f"{api.url} {api.KEY}", "1", step, share],
        "node": [
            *node("")[:1], script, str(modules), json.dumps(servers.node_connection()), PREFIX,
            "2", step, share,
        ],
    }  # fmt: skip
    return {
        name: Producer(name, command, ledger, folder / f"producer-{name}.log")
        for name, command in commands.items()
    }
