"""Stop the server that a killed run left behind, so that two never write one append-only file.

The server inherits a locked descriptor of `server.lock` and its parent closes its own: the kernel holds
the lock for exactly as long as the server or a rewrite child of it lives. No pid file can lie about that.
Who holds it is then looked up among the processes that have the file open and work in its folder.

Emits: stale_server_stopped (pid, signal).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
from pathlib import Path

import psutil
import structlog

from corral.errors import ServerFailed

#: Seconds between two looks at a lock that another process holds.
POLL_SECONDS = 0.05

_log = structlog.get_logger(__name__)


async def take_over(lock_file: Path, *, seconds: float) -> int:
    """Lock the file and return its descriptor, for the new server to inherit.

    A server that still holds it gets SIGTERM, and `seconds` later SIGKILL. Raises ServerFailed if it
    holds on all the same, for instance because it belongs to another user.
    """
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if _locked(descriptor):
            return descriptor
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in _holders(lock_file):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
                    _log.warning("stale_server_stopped", pid=process.pid, signal=number.name)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not _locked(descriptor):  # noqa: ASYNC110  # the kernel tells nobody of a lock's end
                        await asyncio.sleep(POLL_SECONDS)
                    return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    raise ServerFailed(
        f"A server of an earlier run still uses {lock_file.parent} and cannot be stopped from here. "
        "Stop it by hand, or choose another --data-dir."
    )


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holders(lock_file: Path) -> list[psutil.Process]:
    """Other processes that have the file open and run in its folder: that server and its children."""
    path = lock_file.resolve()
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or Path(process.cwd()) != path.parent:
                continue
            if any(file.path == str(path) for file in process.open_files()):
                found.append(process)
    return found
