"""A PostgreSQL server of the tests' own: the one in the pgserver wheel, else an installed one."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from redis_process import free_port

#: PostgreSQL refuses to run as root.
_OTHER = "nobody"


def folder_of_programs() -> Path | None:
    """Where `initdb` and `postgres` are, or None. Root needs programs that others can run, too."""
    spec = find_spec("pgserver")
    wheel = Path(spec.origin).parent / "pginstall" / "bin" if spec is not None and spec.origin else None
    on_path = shutil.which("initdb")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = [wheel, Path(on_path).parent if on_path else None, *installed]
    return next((place for place in found if place is not None and _runs(place)), None)


def _runs(place: Path) -> bool:
    if not (place / "initdb").exists():
        return False
    command = [str(place / "postgres"), "--version"]
    try:
        return subprocess.run(command, user=_user(), capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _user() -> str | None:
    return _OTHER if os.geteuid() == 0 else None


class PostgresProcess:
    """A server on loopback. `url` is that of its superuser."""

    def __init__(self, programs: Path, data: Path) -> None:
        self._programs = programs
        self._data = data
        self._port = free_port()
        self.url = f"postgresql://corral@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Make the database and start the server; returns when it answers."""
        self._data.mkdir(parents=True)
        if os.geteuid() == 0:
            owner = pwd.getpwnam(_OTHER)
            os.chown(self._data, owner.pw_uid, owner.pw_gid)
        self._run(
            "initdb",
            "-D",
            self._data,
            "-U",
            "corral",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
            "--no-locale",
        )
        self.start_again()

    def start_again(self) -> None:
        options = f"-p {self._port} -h 127.0.0.1 -k {self._data} -F"
        self._run("pg_ctl", "-D", self._data, "-w", "-o", options, "-l", self._data / "log", "start")

    def stop(self) -> None:
        """Stop it, cutting all connections."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        # Not captured through pipes: the server would keep them open.
        with (self._data.parent / "postgres-output").open("w+") as output:
            done = subprocess.run(
                command, user=_user(), cwd="/", stdout=output, stderr=output, check=False, timeout=60
            )
            if done.returncode:
                output.seek(0)
                raise RuntimeError(f"{program}: {output.read()}")
