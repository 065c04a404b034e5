"""A source release and a wheel of this tree, built once."""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
from pathlib import Path

import pytest
from release import FILES, ROOT, Built, build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source release, and the wheel made from it on a machine without Node."""
    folder = tmp_path_factory.mktemp("release")
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
    unpacked = folder / source.name.removesuffix(".tar.gz")
    build(unpacked, "--wheel", os.environ | {"PATH": str(folder)})
    return Built(source, next((unpacked / "dist").glob("*.whl")))
