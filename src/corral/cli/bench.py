"""`corral bench`: the measurements and the soak of a checkout. They are no part of an installed package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from corral.errors import ConfigurationError

_SOAK = Path("bench", "soak", "__main__.py")

#: Its own help is that of what runs: `corral bench soak --help`.
app = App(name="bench", help_flags=(), version_flags=())


@app.default
def bench(*words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Run the benchmarks, or the soak (`corral bench soak --help`), in a checkout of Corral.

    Both break and load servers of their own; neither touches yours. Outside a checkout, says how to get one.

    Parameters
    ----------
    words: a scenario and its options, as `python -m bench` takes them
    """
    checkout = find_checkout(Path.cwd())
    if checkout is None:
        raise ConfigurationError(
            "This is no checkout of Corral, and the package holds neither benchmarks nor soak: they need "
            "the tests' servers and Node. Clone the repository, run `make setup` there, then "
            "`corral bench soak` or `make soak`."
        )
    path = os.pathsep.join([str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "bench", *words]
    env = os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, cwd=checkout, env=env, check=False).returncode  # noqa: S603  # this Python


def find_checkout(folder: Path) -> Path | None:
    """The folder or the nearest above it that has the soak beside Corral's source."""
    for place in (folder, *folder.parents):
        if (place / _SOAK).is_file() and (place / "src" / "corral" / "__init__.py").is_file():
            return place
    return None
