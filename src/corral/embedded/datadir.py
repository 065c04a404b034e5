"""The folder that an embedded server lives in, held by one process at a time.

    <data-dir>/lock             flock of the process that serves it, with its pid
    <data-dir>/redis-password   generated once, mode 0600
    <data-dir>/redis/           mode 0700: the append-only file, server.conf, server.log, port, server.lock

The kernel drops the lock with its process, however that dies. A folder that was there before keeps its
mode; what is secret in it does not depend on that. Emits nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
from pathlib import Path

from corral.errors import AlreadyRunning, ConfigurationError

#: Bytes of randomness in the generated password.
PASSWORD_BYTES = 32


class DataDir:
    """The hold on one data directory. Make it with `DataDir.acquire`, give it back with `release`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.redis = path / "redis"
        self._lock = lock

    @classmethod
    def acquire(cls, path: Path) -> DataDir:
        """Create the folder if need be and hold it.

        Raises AlreadyRunning if a process holds it, ConfigurationError if it cannot be written.
        """
        path = path.absolute()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"The data directory {path} cannot be used ({error.strerror}). Choose another --data-dir."
            ) from None
        try:
            _hold(path, lock)
            held = cls(path, lock)
            held.redis.mkdir(mode=0o700, exist_ok=True)
            held.redis.chmod(0o700)
        except BaseException:
            os.close(lock)
            raise
        return held

    def release(self) -> None:
        """Let go of the folder. Harmless when called again."""
        if self._lock >= 0:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = -1

    def password(self) -> str:
        """The server's password: generated the first time, the same ever after."""
        file = self.path / "redis-password"
        with contextlib.suppress(FileNotFoundError):
            file.chmod(0o600)
            if kept := file.read_text().strip():
                return kept
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        write_private(file, password + "\n")
        return password

    def remembered_port(self) -> int | None:
        """The port that the last server here listened on, None if unknown."""
        try:
            return int((self.redis / "port").read_text())
        except (OSError, ValueError):
            return None

    def remember_port(self, port: int) -> None:
        write_private(self.redis / "port", f"{port}\n")


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read; a crash leaves the old content or the new."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)


def pick_port(wanted: int | None) -> int:
    """`wanted` if it is free on the loopback, else any free port."""
    for port in (wanted, 0) if wanted else (0,):
        with socket.socket() as probe:
            # As the server does, so that connections of its predecessor in TIME_WAIT do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port or 0))
                probe.listen(1)
                return int(probe.getsockname()[1])
    raise ConfigurationError("No TCP port is free on 127.0.0.1. Close programs that hold many sockets.")


def _hold(path: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        raise AlreadyRunning(
            f"The data directory {path} is served by another process (pid {holder}). "
            "Stop it, or choose another --data-dir."
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
