"""One question to one node, over a connection of its own: of a Sentinel, or of any node of a cluster."""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from corral.bullmq.addresses import Node

#: A node that is asked where the keys are answers within this, or the next one is asked.
ASK_SECONDS = 0.5


class Line:
    """A connection that is made when it is used, and again after it broke."""

    def __init__(self, node: Node, *, tls: bool, options: dict[str, Any]) -> None:
        self.node = node
        kind: Any = redis.SSLConnection if tls else redis.Connection
        ours = {
            "host": node[0],
            "port": node[1],
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": ASK_SECONDS,
            "socket_connect_timeout": ASK_SECONDS,
        }
        self._connection: Any = kind(**(options | ours))

    def ask(self, *command: str) -> Any:
        """One round trip, two with the connecting. Raises what redis-py raises; the line is closed then."""
        try:
            self._connection.connect()
            self._connection.send_command(*command)
            return self._connection.read_response()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._connection.disconnect()
