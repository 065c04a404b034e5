"""Runs a page's blocks as its reader would: one folder, one shell session, a real server."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from blocks import Block

from corral.embedded.datadir import pick_port

ROOT = Path(__file__).parents[2]

#: What pages call the port of a server of their own; a free one takes its place.
PORT = "8765"

#: Seconds that a block may take, on a machine ten times slower than one would like.
PATIENCE = 120

_OURS = re.compile(r"^(REDIS_|CORRAL_|SUPABASE_|ONFIDO_|IDENFY_|SENDGRID_|MAILGUN_|SMTP_|POSTHOG_|TWILIO_)")


class PageRun:
    """A reader's folder and shell. `with PageRun(folder, REDIS_URL=…) as run:`"""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder / "home"
        self.folder.mkdir()
        programs = folder / "bin"
        programs.mkdir()
        for name, command in (("python", ""), ("corral", "-m corral"), ("pytest", "-m pytest")):
            script = programs / name
            script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {command} "$@"\n')
            script.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
        self._env = kept | settings
        self._env["PATH"] = f"{programs}:{kept['PATH']}"
        self._env["PYTHONPATH"] = str(ROOT / "src")
        self._session = folder / "session.sh"
        self._session.touch()
        self._log = folder / "background.log"
        self._running: list[subprocess.Popen[bytes]] = []
        self._replaced = [(PORT, str(pick_port(None)))]
        modules = ROOT / "tests" / "interop" / "node_modules"
        if (modules / "bullmq").exists():
            (self.folder / "node_modules").symlink_to(modules)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._running):
            os.killpg(process.pid, signal.SIGTERM)
        for process in self._running:
            try:
                process.wait(PATIENCE / 2)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def do(self, block: Block) -> None:
        """Do what the block's comment says. Raises AssertionError with the output if it goes wrong."""
        if block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._own(block.text))
        if block.verb == "up":
            self._up()
        elif block.verb == "background":
            self._start(self._command(block))
        elif block.verb is not None:
            self._finish(block)

    def _command(self, block: Block) -> str:
        if block.language in ("sh", "bash"):
            return self._own(block.text)
        file = block.file
        if file is None:
            file = f"block_{block.line}.py" if block.language == "python" else f"block_{block.line}.mjs"
            (self.folder / file).write_text(self._own(block.text))
        if block.verb == "pytest":
            return f"python -m pytest -q -p pytest_corral -o asyncio_mode=auto {file}"
        return f"python {file}" if file.endswith(".py") else f"node {file}"

    def _finish(self, block: Block) -> None:
        # What a block sets, the next one finds.
        script = f"set -a\n. {self._session}\n{self._command(block)}\nexport -p > {self._session}\n"
        done = subprocess.run(
            ["bash", "-ec", script],
            cwd=self.folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        background = self._log.read_text(errors="replace")[-3000:] if self._log.exists() else ""
        said = f"line {block.line}:\n{block.text}\n{done.stdout}\n{done.stderr}\n{background}"
        assert done.returncode == block.exits, said
        if block.prints is not None:
            assert block.prints in done.stdout + done.stderr, said

    def _start(self, command: str) -> subprocess.Popen[bytes]:
        script = f". {self._session}\n{command}"
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                ["bash", "-ec", script],
                cwd=self.folder,
                env=self._env,
                stdout=subprocess.PIPE if command.endswith("--json") else log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def _up(self) -> None:
        process = self._start("exec corral up --api-port 0 --dashboard-port 0 --data-dir .corral --json")
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, self._log.read_text(errors="replace")
        said = json.loads(line)
        self._replaced = [
            *self._replaced,
            ("http://127.0.0.1:3000", said["api"]),
            ("http://127.0.0.1:3002", said["dashboard"]),
        ]

    def _own(self, text: str) -> str:
        for written, real in self._replaced:
            text = text.replace(written, real)
        return text
