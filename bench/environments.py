"""Environments of the Python peers: one each, since they do not agree on a version of redis-py.

Made on first use in .corral/peers, from the hashed locks in peers/python (tools/lock.py makes those). A peer
that cannot be installed is reported as one that was not measured, and the others go on.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import venv
from pathlib import Path

from bench.programs import PEERS, ROOT, ProgramFailed

LOCKS = PEERS / "python"
HOME = ROOT / ".corral" / "peers"


@functools.cache
def interpreter(name: str) -> Path:
    """The Python of this peer, with it installed as its lock says."""
    lock, folder = LOCKS / f"{name}.lock", HOME / name
    python, stamp = folder / "bin" / "python", folder / "installed.lock"
    if python.exists() and stamp.exists() and stamp.read_text() == lock.read_text():
        return python
    print(f"bench: installing {name}", file=sys.stderr)
    venv.create(folder, with_pip=False, clear=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(python)]
    done = subprocess.run(
        [*pip, "install", "--require-hashes", "--requirement", str(lock)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ProgramFailed(f"{name} could not be installed.\n{done.stderr[-2000:]}")
    stamp.write_text(lock.read_text())
    return python


def versions() -> dict[str, str]:
    """What the locks pin, by peer: the package itself and its client."""
    found: dict[str, str] = {}
    for lock in sorted(LOCKS.glob("*.lock")):
        pins = dict(
            line.split()[0].split("==", 1)
            for line in lock.read_text().splitlines()
            if "==" in line[:60] and line[0].isalpha()
        )
        found |= {name: pins[name] for name in (lock.stem, f"{lock.stem}-redis") if name in pins}
    return found
