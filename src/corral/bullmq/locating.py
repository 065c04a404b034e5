"""Which node to talk to: what a process knows of it, for all its loops and threads.

All keys of one prefix live on one node at any time, behind Sentinel as in a cluster, so ordinary clients that
find it by themselves do what a Sentinel client or a cluster client would. A locator asks only when a
connection found its node gone or demoted, at most every FRESH_SECONDS; somebody who watches may also tell it.

Emits: redis_node (node: the host and port that is used from now on).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from redis.exceptions import ConnectionError as RedisConnectionError

from corral.bullmq.addresses import Node

log = structlog.get_logger(__name__)

#: An answer, also a failure, serves everybody who asks so soon after it.
FRESH_SECONDS = 0.25

#: `ask(current node)` finds the node, or raises redis-py's ConnectionError.
Ask = Callable[[Node | None], Node]


class Locator:
    """Remembers the node; asks again when somebody doubts it. Thread-safe."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._doubted = True
        self._asked_at = 0.0
        self._failure: Exception | None = None
        #: None: not known yet. Connections to another node than this one are stale.
        self.node: Node | None = None
        #: Called, in any thread, when the node is another one.
        self.on_change: set[Callable[[], None]] = set()

    def used(self) -> None:
        """A connection is about to be used. Called before each command, so it must cost nothing."""

    def known(self) -> Node | None:
        """The node, if nobody doubts it."""
        return None if self._doubted else self.node

    def locate(self) -> Node:
        """The node. Blocks while it asks: ASK_SECONDS for each one that does not answer.

        Raises redis-py's ConnectionError if nobody knows, or what they all said of user or password.
        """
        with self._lock:
            if self._doubted and time.monotonic() - self._asked_at > FRESH_SECONDS:
                try:
                    self._take(self._ask(self.node))
                except Exception as error:
                    self._failure = error
                    raise
                finally:
                    self._asked_at = time.monotonic()
            elif self._failure is not None:
                raise self._failure.with_traceback(None)
            if self.node is None:
                raise RedisConnectionError("Nobody knows where Redis is yet.")
            return self.node

    def doubt(self, node: Node | None) -> None:
        """A connection to this node failed."""
        if node == self.node:
            self._doubted = True

    def moved_to(self, node: Node) -> None:
        """A node of the cluster named the owner itself."""
        with self._lock:
            self._take(node)

    def _take(self, node: Node) -> None:
        self._failure, self._doubted = None, False
        if node != self.node:
            log.info("redis_node", node=f"{node[0]}:{node[1]}")
            self.node = node
            for tell in tuple(self.on_change):
                tell()
