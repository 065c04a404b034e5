"""What handlers leave behind for the bench: how many started, when, and how long after they were sent.

A file for each process in the folder BENCH_RECORD, mapped into memory, so that a stamp costs no system call:
three doubles (count, first start, last start), then a double a job (seconds from being sent, or UNSAID). All
stamps are the system's monotonic clock, which is one for all processes of a machine. Standard library only:
every peer's environment imports this.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time

HEADER = struct.Struct("<ddd")
ONE = struct.Struct("<d")
#: Jobs of which a process keeps the latency; later ones are counted only. Untouched pages take no room.
CAPACITY = 1 << 20
#: Instead of a latency, for a job that does not say when it was sent.
UNSAID = -1e9


class Recorder:
    """`record(sent)` from any thread, and from a forked process too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._map: mmap.mmap | None = None
        self._count = 0
        self._first = 0.0

    def _open(self, pid: int) -> mmap.mmap:
        path = os.path.join(os.environ["BENCH_RECORD"], f"{pid}.stamps")  # noqa: PTH118  # pathlib takes 20 ms to import
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.ftruncate(file, HEADER.size + CAPACITY * ONE.size)
        self._map = mmap.mmap(file, HEADER.size + CAPACITY * ONE.size)
        os.close(file)
        self._pid, self._count, self._first = pid, 0, time.monotonic()
        return self._map

    def record(self, sent: float = 0.0) -> None:
        """A handler starts now, whose job was sent at `sent` (monotonic seconds; 0: not said)."""
        now = time.monotonic()
        with self._lock:
            pid = os.getpid()
            stamps = self._map
            if stamps is None or pid != self._pid:
                stamps = self._open(pid)
            if self._count < CAPACITY:
                place = HEADER.size + self._count * ONE.size
                ONE.pack_into(stamps, place, now - sent if sent else UNSAID)
            self._count += 1
            HEADER.pack_into(stamps, 0, self._count, self._first, now)


record = Recorder().record
