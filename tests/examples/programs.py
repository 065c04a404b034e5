"""Programs of the examples, and Corral's worker beside them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"

#: Seconds; a program starts in two, on a machine that is not busy.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Program:
    process: subprocess.Popen[bytes]
    log: Path

    def says(self, pattern: str) -> str:
        """The first group of what it says, once it does."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = re.search(pattern, self.log.read_text())
            if found is not None:
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"It never said {pattern!r}:\n{self.log.read_text()}")


Start = Callable[[list[str], Path, dict[str, str]], Program]


def environment(redis_url: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """That of a program which is started in an example's folder."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    paths = os.pathsep.join([str(ROOT / "src"), "."])
    return kept | {"REDIS_URL": redis_url, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"} | dict(more or {})


def worker(target: str) -> list[str]:
    """`corral worker TARGET`, with this Python."""
    return [sys.executable, "-m", "corral", "worker", target]
