"""What the examples' tests share: programs that are started as a reader would start them, and ended after."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from programs import EXAMPLES, Program, Start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a program: `start([...], folder, {"NAME": "value"})`. What it says goes into a file."""
    with ExitStack() as stack:

        def begin(command: list[str], folder: Path, environment: dict[str, str]) -> Program:
            said = tmp_path / f"{len(list(tmp_path.iterdir()))}.log"
            with said.open("wb") as log:
                process = subprocess.Popen(
                    command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
                )
            stack.callback(end, process)
            return Program(process, said)

        yield begin


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    finally:
        process.kill()


@pytest.fixture(scope="session")
def deno() -> str:
    """The program in the npm package `deno`; no script of a package is run."""
    folder = EXAMPLES / "edge-function"
    installed = folder / "node_modules" / ".package-lock.json"
    lock = folder / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        search = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.prefix) / "node" / "bin")])
        npm = shutil.which("npm", path=search)
        if npm is None:
            pytest.fail("Deno comes with npm, and there is none; `tools/node.sh` provides it.")
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"npm ci failed:\n{done.stderr[-2000:]}")
        installed.touch()
    found = [path for path in (folder / "node_modules" / "@deno").glob("*/deno*") if path.is_file()]
    if not found:
        pytest.skip("the npm package deno has no program for this machine")
    return str(found[0])
