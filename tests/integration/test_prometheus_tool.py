"""tools/prometheus.sh: the programs on PATH win, then those in .venv; without either it says what to do."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools/prometheus.sh"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout of its own, on a machine that has next to nothing."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(SCRIPT, tmp_path / "tools")
    for name in ("bash", "dirname", "cat"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    return tmp_path


def put(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("prometheus", "promtool"):
        (folder / name).write_text(f"#!/bin/sh\necho {name} of {folder.name}\n")
        (folder / name).chmod(0o755)


def run(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / "tools/prometheus.sh", "promtool"],
        env={"PATH": f"{root / 'path'}:{root / 'bin'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_path_wins(root: Path) -> None:
    put(root / "path")
    put(root / ".venv/prometheus/usr/bin")
    assert run(root).stdout == "promtool of path\n"


def test_else_what_was_fetched_before(root: Path) -> None:
    put(root / ".venv/prometheus/usr/bin")
    done = run(root)
    assert (done.stdout, done.stderr) == ("promtool of bin\n", "")


def test_without_a_way_to_get_it_it_says_so(root: Path) -> None:
    done = run(root)
    assert done.returncode != 0
    assert "put prometheus and promtool on PATH" in done.stderr
