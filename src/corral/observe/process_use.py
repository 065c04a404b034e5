"""What this process takes of its machine, with its children: memory and processor time."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import psutil


class ProcessUse:
    """Measures from call to call. Blocking, up to some milliseconds: call it in a thread."""

    def __init__(self) -> None:
        self._processor = 0.0
        self._at = time.monotonic() - max(0.0, time.time() - psutil.Process().create_time())

    def measure(self) -> tuple[int, float]:
        """Resident bytes, and percent of one core since the last call, at first since the process began.

        A child that ended is not in it.
        """
        family = self._family()
        memory = 0
        for process in family:
            with contextlib.suppress(psutil.Error):
                memory += process.memory_info().rss
        now, processor = time.monotonic(), self._cpu_seconds(family)
        percent = 100 * (processor - self._processor) / max(now - self._at, 1e-3)
        self._at, self._processor = now, processor
        return memory, max(0.0, percent)

    @staticmethod
    def _cpu_seconds(family: list[psutil.Process]) -> float:
        total = 0.0
        for process in family:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    @staticmethod
    def _family() -> list[psutil.Process]:
        found = []
        for pid in (os.getpid(), *_descendants(os.getpid())):
            with contextlib.suppress(psutil.Error):
                found.append(psutil.Process(pid))
        return found


def _descendants(pid: int) -> list[int]:
    try:
        files = list(Path(f"/proc/{pid}/task").glob("*/children"))
        children = [int(child) for file in files for child in file.read_text().split()]
    except OSError:
        return []
    if not files:  # no Linux, or one without this list: psutil looks through all processes there are
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return [each for child in children for each in (child, *_descendants(child))]
