"""The numbers of all worker processes of a supervisor, through files in a folder that only they share.

Each process writes its own file once a second and at its end (`NumbersFile`); the supervisor adds them up
when it is scraped (`ProcessFolder`). Counters never fall: when a process has ended, by itself or by kill
-9, the last values it wrote are kept in a sum of the ended ones and its file is removed, so that restarts
neither lose counts nor leave a time series or a file for each process behind.

Limit: what a process counted in the second before a kill -9 is lost with it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from corral.observe.counted import Counted, Present, ProcessNumbers
from corral.observe.health import STALE_SECONDS

_SUFFIX = ".numbers"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ProcessNumbers).decode


class NumbersFile:
    """Where one process writes. The name is its own for good: pids come again."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{os.getpid()}-{os.urandom(6).hex()}{_SUFFIX}"
        self._draft = self._path.with_suffix(".draft")

    def write(self, numbers: ProcessNumbers) -> None:
        """Replace what it says, in one step. Raises OSError."""
        self._draft.write_bytes(_encode(numbers))
        self._draft.replace(self._path)


@dataclass(frozen=True, slots=True)
class Together:
    """All processes: what they and those before them counted, and how the `processes` that turn stand."""

    counted: Counted
    present: Present
    processes: int


def is_alive(pid: int) -> bool:
    """A process that has ended and whose parent has not been told yet counts as alive: it will be told."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class ProcessFolder:
    """For the supervisor. Not for several threads."""

    def __init__(self, folder: Path, is_alive: Callable[[int], bool] = is_alive) -> None:
        self._folder = folder
        self._is_alive = is_alive
        self._ended = Counted()

    def together(self, now: float) -> Together:
        """Add them up. `now` in epoch seconds."""
        counted, present, processes = Counted(), Present(), 0
        for path, alive, numbers in self._read():
            if alive:
                counted += numbers.counted
            else:
                self._ended += numbers.counted
                path.unlink(missing_ok=True)
                path.with_suffix(".draft").unlink(missing_ok=True)
            if alive and now - numbers.written_at < STALE_SECONDS:
                present += numbers.present
                processes += 1
        return Together(self._ended + counted, present, processes)

    def _read(self) -> Iterator[tuple[Path, bool, ProcessNumbers]]:
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            # Asked before its file is read: what has ended by now writes nothing after that.
            alive = self._is_alive(int(path.name.partition("-")[0]))
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                yield path, alive, _decode(path.read_bytes())
