"""Which node to talk to: the master that Sentinel names, or the cluster node that owns our slot.

All keys of one prefix live in one slot, so at any time there is one node for all of them, and ordinary
clients that find it by themselves do what a cluster client would. One locator serves all connections of a
process to an address, in every loop and thread. It asks only when a connection found its node gone or
demoted, at most every FRESH_SECONDS, over a connection that it closes again.

Emits: redis_node (node, the host and port that is used from now on).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import redis
import structlog
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from corral.bullmq.addresses import Address, Node, Targets

log = structlog.get_logger(__name__)

#: A node that is asked where the master is answers within this, or the next one is asked.
ASK_SECONDS = 0.5

#: An answer, also a failure, serves everybody who asks so soon after it.
FRESH_SECONDS = 0.25


_NO_RETRY = Retry(NoBackoff(), 0)


class Locator:
    """Remembers the node; asks again when somebody doubts it. Thread-safe; `locate` blocks for the asking."""

    def __init__(self, ask: Callable[[Node | None], Node]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._doubted = True
        self._asked_at = 0.0
        self._failure: Exception | None = None
        #: None: not known yet. Connections to another node than this one are stale.
        self.node: Node | None = None

    def known(self) -> Node | None:
        """The node, if nobody doubts it."""
        return None if self._doubted else self.node

    def locate(self) -> Node:
        """The node. Asks if need be: up to ASK_SECONDS for each node that does not answer.

        Raises redis-py's ConnectionError if nobody knows.
        """
        with self._lock:
            if self._doubted and time.monotonic() - self._asked_at > FRESH_SECONDS:
                try:
                    self._take(self._ask(self.node))
                    self._failure, self._doubted = None, False
                except Exception as error:
                    self._failure = error
                    raise
                finally:
                    self._asked_at = time.monotonic()
            elif self._failure is not None:
                raise RedisConnectionError(str(self._failure))
            assert self.node is not None  # noqa: S101  # for the type checker: asked, and no failure
            return self.node

    def doubt(self, node: Node) -> None:
        """A connection to this node failed."""
        if node == self.node:
            self._doubted = True

    def moved_to(self, node: Node) -> None:
        """A node of the cluster named the owner itself."""
        with self._lock:
            self._take(node)
            self._failure, self._doubted = None, False

    def _take(self, node: Node) -> None:
        if node != self.node:
            log.info("redis_node", node=f"{node[0]}:{node[1]}")
            self.node = node


@cache
def locator_of(address: Address) -> Locator:
    """The process's locator for a Sentinel or cluster address."""
    if address.targets.kind == "sentinel":
        return Locator(_Sentinels(address.targets))
    return Locator(_Cluster(address))


class _Sentinels:
    """Asks all of them: one that was cut off may still name the old master, with a lower epoch."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        names = ("ssl_", "socket_read_size")
        self._options = targets.sentinel_login | {
            name: value for name, value in targets.options.items() if name.startswith(names)
        }

    def __call__(self, doubted: Node | None) -> Node:  # noqa: ARG002  # the epochs decide
        best: tuple[int, Node] | None = None
        failures = []
        for node in self._targets.nodes:
            try:
                reply = _ask(
                    node, self._targets.tls, self._options, "SENTINEL", "MASTER", self._targets.service
                )
            except (RedisError, OSError) as error:
                failures.append(type(error).__name__)
                continue
            state = dict(zip(reply[::2], reply[1::2], strict=True))
            epoch = int(state[b"config-epoch"])
            if best is None or epoch > best[0]:
                best = epoch, (state[b"ip"].decode(), int(state[b"port"]))
        if best is None:
            raise RedisConnectionError(
                f"No Sentinel knows a master {self._targets.service!r} ({', '.join(failures)})."
            )
        return best[1]


class _Cluster:
    """Asks the nodes of the URL and those learnt since, the one that answered last first."""

    def __init__(self, address: Address) -> None:
        self._targets = address.targets
        self._slot = key_slot(address.prefix.encode())
        own = {"password": address.password} if address.password else {}
        self._options = self._targets.options | own
        self._nodes = list(self._targets.nodes)

    def __call__(self, doubted: Node | None) -> Node:
        failures = []
        second_choice: Node | None = None
        for node in self._nodes:
            try:
                reply = _ask(node, self._targets.tls, self._options, "CLUSTER", "SLOTS")
            except (RedisError, OSError) as error:
                failures.append(type(error).__name__)
                continue
            owner, nodes = read_slots(reply, self._slot, node)
            if owner is not None:
                self._nodes = list(dict.fromkeys([node, *nodes, *self._targets.nodes]))
                if owner != doubted:
                    return owner
                second_choice = owner  # its view may be behind: hear another
        if second_choice is None:
            raise RedisConnectionError(
                f"No node of the cluster names an owner of slot {self._slot} ({', '.join(failures)})."
            )
        return second_choice


def read_slots(reply: list[Any], slot: int, asked: Node) -> tuple[Node | None, list[Node]]:
    """Owner of a slot and all nodes, from CLUSTER SLOTS. Pure. No host means: the node that was asked."""

    def node(entry: list[Any]) -> Node:
        return (entry[0].decode() if entry[0] else asked[0], int(entry[1]))

    owner = next((node(part[2]) for part in reply if part[0] <= slot <= part[1]), None)
    return owner, list(dict.fromkeys(node(entry) for part in reply for entry in part[2:]))


def _ask(node: Node, tls: bool, options: dict[str, Any], *command: str) -> Any:
    kind: Any = redis.SSLConnection if tls else redis.Connection
    limits = {"socket_timeout": ASK_SECONDS, "socket_connect_timeout": ASK_SECONDS}
    connection = kind(
        **(options | limits | {"host": node[0], "port": node[1], "protocol": 2, "retry": _NO_RETRY})
    )
    try:
        connection.connect()
        connection.send_command(*command)
        return connection.read_response()
    finally:
        connection.disconnect()
