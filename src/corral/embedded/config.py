"""The embedded server's configuration file, as text. Pure; emits nothing."""

from __future__ import annotations

import os


def configuration(folder: str, port: int, password: str) -> str:
    """The file for a server that keeps its data in `folder`."""
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {quoted(password)}",
        f"dir {quoted(folder)}",
        "daemonize no",
        'save ""',
        "appendonly yes",
        "appendfsync everysec",
        # Plain commands can be read by any version of either server; a snapshot only by newer ones,
        # and the program may be another one at the next start.
        "aof-use-rdb-preamble no",
        # A queue must refuse what it cannot hold, not forget what it has.
        "maxmemory-policy noeviction",
    ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """`text` as one argument in the syntax of that file."""
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else _escaped(c) for c in text) + '"'


def _escaped(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
