"""A source release and a wheel of this tree, built once."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tarfile
from pathlib import Path

import pytest
import xdist
from release import FILES, ROOT, Built, build


@pytest.fixture(scope="session")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source release, and the wheel made from it on a machine without Node.

    Of several processes that run tests, the first makes it and the others wait for it.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if xdist.is_xdist_worker(request) else own) / "release"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "done"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of an attempt that failed
            make(folder)
            done.touch()
    unpacked = next(path for path in folder.glob("corral-*") if path.is_dir())
    return Built(next((folder / "tree/dist").glob("*.tar.gz")), next((unpacked / "dist").glob("*.whl")))


def make(folder: Path) -> None:
    """A copy of this tree, the source release of it, that unpacked, and its wheel."""
    tree = folder / "tree"
    for name in ("src", "ui"):
        ignored = shutil.ignore_patterns("node_modules", "__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, tree)
    # Pages that are there are taken; else Node builds them here.
    build(tree, "--sdist", os.environ | {"PATH": f"{Path(sys.prefix) / 'node' / 'bin'}:{os.environ['PATH']}"})
    source = next((tree / "dist").glob("*.tar.gz"))
    with tarfile.open(source) as release:
        release.extractall(folder, filter="data")
    build(folder / source.name.removesuffix(".tar.gz"), "--wheel", os.environ | {"PATH": str(folder)})
