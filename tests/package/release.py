"""Corral as it is published: what builds it, and environments that hold nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: What a release is made from, beside `src` and `ui`.
FILES = ("pyproject.toml", "hatch_build.py", "README.md", "CHANGELOG.md", "LICENSE", "NOTICE")


@dataclass(frozen=True, slots=True)
class Built:
    source: Path
    wheel: Path


def build(tree: Path, what: str, environment: dict[str, str]) -> None:
    # Without isolation: what builds is installed by `make setup`, by hash.
    command = [sys.executable, "-m", "build", "--no-isolation", what, str(tree)]
    run(command, environment)


def run(
    command: Sequence[str | Path],
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
    seconds: float = 500,
) -> str:
    """What it printed. A failure shows all that it said."""
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment with nothing in it but what was asked for."""

    bin: Path

    @property
    def python(self) -> Path:
        return self.bin / "python"

    @property
    def pip(self) -> list[str | Path]:
        """This process's pip, at work there."""
        return [sys.executable, "-m", "pip", "--python", self.python]

    def run(self, name: str, *arguments: str) -> str:
        """Run a command of it, from elsewhere, so that nothing of this tree is found."""
        clean = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        environment = clean | {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.bin.parent)}
        return run([self.bin / name, *arguments], environment, self.bin.parent)


def installed(python: str | Path, folder: Path, wheel: Path, extras: str = "") -> Environment:
    """A new environment with the wheel and what it needs, in the versions of requirements.lock."""
    run([python, "-m", "venv", "--without-pip", folder])
    environment = Environment(folder / "bin")
    pins = folder / "pins.txt"
    locked = (ROOT / "requirements.lock").read_text()
    pins.write_text("\n".join(re.findall(r"^[a-z0-9][^ \\]*==[^\\\n]*", locked, re.MULTILINE)))
    install = ["install", "--quiet", "--no-compile", "--constraint", str(pins)]
    command = [*environment.pip, *install, f"corral{extras} @ {wheel.as_uri()}"]
    # With this process's settings: the index is whatever pip is told to use here.
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    if done.returncode:
        pytest.fail(f"pip could not install it. Can its package index be reached?\n{done.stderr[-3000:]}")
    return environment


def pythons() -> dict[str, str]:
    """Each Python that Corral is for and this machine has: on PATH, or beside others in ~/.pyenv."""
    found: dict[str, str] = {}
    for version in ("3.11", "3.12", "3.13"):
        beside = (Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python")
        for place in (shutil.which(f"python{version}"), *map(str, beside)):
            if place and version not in found and _is(place, version):
                found[version] = place
    return found


def _is(place: str, version: str) -> bool:
    says = "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([place, "-c", says], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == version
