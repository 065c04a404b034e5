"""Programs under measurement: separate processes that speak JSON lines on stdout."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import psutil

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peers"

#: Seconds that a program may take to say its next line.
PATIENCE_SECONDS = 300


class ProgramFailed(Exception):
    """A measured program ended without its result; the message holds the end of its stderr."""


def python(module: str, *args: object) -> list[str]:
    """The command for a Python side: `python("official_worker", url)`."""
    return [sys.executable, "-m", f"bench.sides.{module}", *map(str, args)]


def node(script: str, *args: object) -> list[str]:
    """The command for a Node side."""
    return [_tool("node"), str(PEERS / script), *map(str, args)]


def install_peers() -> None:
    """`npm ci` in bench/peers, unless what is there fits the lock file."""
    installed, lock = PEERS / "node_modules" / ".package-lock.json", PEERS / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    print("bench: installing the Node peers", file=sys.stderr)
    npm_ci = [_tool("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(npm_ci, cwd=PEERS, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bench: npm ci failed:\n{done.stderr[-2000:]}")
    installed.touch()


def _tool(name: str) -> str:
    # tools/node.sh puts node into the environment's own folder where the system has none.
    search = os.pathsep.join([os.environ.get("PATH", ""), str(ROOT / ".venv" / "node" / "bin")])
    found = shutil.which(name, path=search)
    if found is None:
        raise SystemExit(f"bench: {name} is not installed. `make bench` provides it.")
    return found


class Program:
    """`with Program(command) as program: program.line()`. Ended with SIGTERM, else killed."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._command = list(command)
        self._env = {**os.environ, **(env or {})}

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._info = psutil.Process(self._process.pid)
        return self

    def __exit__(self, *_: object) -> None:
        children = self._children()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        self._errors.close()

    def line(self) -> dict[str, Any]:
        """The program's next JSON line. Lines that are no JSON object are passed over."""
        timer = threading.Timer(PATIENCE_SECONDS, self._process.kill)
        timer.start()
        try:
            assert self._process.stdout  # Popen was asked for a pipe
            for text in self._process.stdout:
                if text.startswith("{"):
                    found: dict[str, Any] = json.loads(text)
                    return found
        finally:
            timer.cancel()
        raise ProgramFailed(f"{' '.join(self._command[:3])} ended.\n{self.errors()}")

    def go(self) -> None:
        """Let a program that said it is ready begin."""
        assert self._process.stdin  # Popen was asked for a pipe
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def check(self) -> None:
        """Raise ProgramFailed if the program has ended."""
        if self._process.poll() is not None:
            raise ProgramFailed(f"{' '.join(self._command[:3])} ended.\n{self.errors()}")

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-3000:].decode(errors="replace")

    def cpu_seconds(self) -> float:
        """Processor time of the program so far, with its threads and processes."""
        times = [found for process in self._all() if (found := _or_none(process.cpu_times))]
        return float(sum(found.user + found.system for found in times))

    def memory_mb(self) -> float:
        """Resident memory now, in MiB, of all its processes; pages that they share count for each."""
        found = [memory for process in self._all() if (memory := _or_none(process.memory_info))]
        return float(sum(memory.rss for memory in found)) / 2**20

    def _children(self) -> list[psutil.Process]:
        return _or_none(lambda: self._info.children(recursive=True)) or []

    def _all(self) -> list[psutil.Process]:
        return [self._info, *self._children()]


T = TypeVar("T")


def _or_none(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except psutil.NoSuchProcess:
        return None
