"""A Redis-compatible server of Corral's own, for a machine that has none: `corral up` and `corral demo`.

`locate` finds the program, `datadir` holds the folder, `stale` clears what a killed run left, `server`
runs it. Data survive restarts; one second of writes may be lost with the machine (fsync every second).
"""

from corral.embedded.locate import find_server, needs_server
from corral.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer", "find_server", "needs_server"]
