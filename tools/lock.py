"""Make the lock files from pyproject.toml: every package pinned, with the hashes of all its files.

    .venv/bin/python tools/lock.py             # keep the pins that still fit, add what is missing
    .venv/bin/python tools/lock.py --upgrade   # newest releases that pyproject.toml allows
    .venv/bin/python tools/lock.py requirements-runtime.lock   # this one alone

Writes files, each readable by `pip install --require-hashes -r`, for every platform and every
Python from 3.11 on, with no index address in them:

- requirements-build.lock: dependency group `build`, installed before all else
- requirements.lock: the package's dependencies and its extra `dev`
- requirements-runtime.lock: the extra `all` without `dev`, for the image; pins as in requirements.lock
- requirements-node.lock: dependency group `node`
- bench/peers/python/NAME.lock: what bench/ measures against, one environment each, from NAME.in beside it

The resolver is uv, installed into a temporary virtual environment by pip; nothing else needs it.
Needs the package index that pip is configured for to be the default one: uv reads no pip settings.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers" / "python"
HEADER = "# Made by tools/lock.py from pyproject.toml. Do not edit; run the tool again.\n"
#: File name -> what uv is asked to resolve. The first bounds the others: all go into one environment.
LOCKS: dict[str, list[str]] = {
    "requirements.lock": ["pyproject.toml", "--extra", "dev"],
    "requirements-build.lock": ["--group", "build", "--constraints", "requirements.lock"],
    "requirements-runtime.lock": [
        "pyproject.toml",
        "--extra",
        "all",
        "--constraints",
        "requirements.lock",
    ],
    "requirements-node.lock": ["--group", "node"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the lock files from pyproject.toml.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest releases that fit")
    parser.add_argument("only", nargs="*", metavar="LOCK", help="these locks only (default: all)")
    args = parser.parse_args()
    if unknown := set(args.only) - set(LOCKS):
        parser.error(f"no lock of its own: {', '.join(sorted(unknown))}; there are {', '.join(LOCKS)}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        uv = _install_uv(work / "venv")
        # A copy, so that uv meets no other settings, environment or lock of this folder.
        shutil.copy(ROOT / "pyproject.toml", work)
        if args.only:
            shutil.copy(ROOT / "requirements.lock", work)  # it bounds the others
        for name in args.only or LOCKS:
            what = LOCKS[name]
            if not args.upgrade and (ROOT / name).exists():
                shutil.copy(ROOT / name, work)  # uv keeps the pins of an output file that is there
            _compile(uv, work, name, what)
            text = (work / name).read_text()
            if "://" in text:
                print(f"lock.py: {name} would hold an address; not written.", file=sys.stderr)
                return 1
            (ROOT / name).write_text(HEADER + text)
            print(f"{name}: {len(re.findall(r'^[^ #]+==', text, re.MULTILINE))} packages")
        for wanted in [] if args.only else sorted(PEERS.glob("*.in")):
            lock = wanted.with_suffix(".lock")
            for file in (wanted, lock) if lock.exists() and not args.upgrade else (wanted,):
                shutil.copy(file, work)
            _compile(uv, work, lock.name, [wanted.name])
            text = (work / lock.name).read_text()
            if "://" in text:
                print(f"lock.py: {lock.name} would hold an address; not written.", file=sys.stderr)
                return 1
            lock.write_text(HEADER.replace("pyproject.toml", wanted.name) + text)
            print(f"{lock.relative_to(ROOT)}: {len(re.findall(r'^[^ #]+==', text, re.MULTILINE))} packages")
    return 0


def _install_uv(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "uv>=0.9"], check=True)
    return folder / "bin" / "uv"


def _compile(uv: Path, work: Path, name: str, what: list[str]) -> None:
    command: list[str | Path] = [uv, "pip", "compile", "--no-config", "--quiet", *what, "--output-file", name]
    command += ["--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-header", "--no-emit-index-url", "--no-emit-find-links"]
    subprocess.run(command, check=True, cwd=work)


if __name__ == "__main__":
    sys.exit(main())
