"""prometheus and promtool for the tests: those on PATH, else what tools/prometheus.sh has put into .venv."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_OURS = _ROOT / ".venv/prometheus/usr/bin"


def program(name: str) -> str:
    """Its path. A machine without it fails the test: `make test` provides it."""
    found = shutil.which(name) or shutil.which(name, path=str(_OURS))
    assert found, f"There is no {name} here. Run the tests with `make test`, or through tools/prometheus.sh."
    return found


def promtool(*arguments: str | Path) -> str:
    """Run it; what it says. Fails if it finds a fault."""
    done = subprocess.run(
        [program("promtool"), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
