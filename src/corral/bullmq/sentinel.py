"""The master that Sentinel names, and a watch over it.

A master that was replaced while it lives is told so by Sentinel only some ten seconds later, and takes writes
until then that nobody keeps. So a thread hears the Sentinels in turn, one every HEAR_SECONDS, for as long as
the process uses Redis, over one connection to each of them.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from corral.bullmq.addresses import Node, Targets
from corral.bullmq.asking import Line
from corral.bullmq.failures import code, is_refusal
from corral.bullmq.locating import Locator

#: Between two questions of the watch, each to the next Sentinel.
HEAR_SECONDS = 0.5

#: The watch ends when nobody used Redis for so long. The next use begins it again.
UNUSED_SECONDS = 30.0


class SentinelLocator(Locator):
    """Asks all Sentinels: one that was cut off may still name the old master, with a lower epoch."""

    def __init__(self, targets: Targets) -> None:
        super().__init__(self._ask_all)
        self._targets = targets
        tls = {name: value for name, value in targets.options.items() if name.startswith("ssl_")}
        self._options: dict[str, Any] = targets.sentinel_login | tls
        self._used_at = 0.0
        self._watch: threading.Thread | None = None
        self._starting = threading.Lock()

    def used(self) -> None:
        self._used_at = time.monotonic()
        if self._watch is None:
            with self._starting:
                if self._watch is None:
                    self._watch = threading.Thread(target=self._hear, name="corral-sentinel", daemon=True)
                    self._watch.start()

    def _line(self, node: Node) -> Line:
        return Line(node, tls=self._targets.tls, options=self._options)

    def _ask_all(self, _: Node | None) -> Node:
        best: tuple[int, Node] | None = None
        failures = []
        refusal: Exception | None = None
        for node in self._targets.nodes:
            line = self._line(node)
            try:
                epoch, master = read_master(line.ask("SENTINEL", "MASTER", self._targets.service))
                if best is None or epoch > best[0]:
                    best = epoch, master
            except (RedisError, OSError) as error:
                failures.append(code(error))
                refusal = error if is_refusal(error) else refusal
            finally:
                line.close()
        if best is None and refusal is not None:
            raise refusal  # waiting does not heal it
        if best is None:
            raise RedisConnectionError(
                f"No Sentinel names a master {self._targets.service!r} ({', '.join(failures)})."
            )
        return best[1]

    def _hear(self) -> None:
        lines = [self._line(node) for node in self._targets.nodes]
        for line in itertools.cycle(lines):
            time.sleep(HEAR_SECONDS)
            if time.monotonic() - self._used_at > UNUSED_SECONDS:
                break
            with contextlib.suppress(RedisError, OSError):
                _, master = read_master(line.ask("SENTINEL", "MASTER", self._targets.service))
                if master != self.node:
                    self.doubt(self.node)
                    self.locate()  # the epochs decide who is right
        self._watch = None
        for line in lines:
            line.close()


def read_master(reply: list[bytes]) -> tuple[int, Node]:
    """Epoch and place of the master, from SENTINEL MASTER. Pure."""
    state = dict(zip(reply[::2], reply[1::2], strict=True))
    return int(state[b"config-epoch"]), (state[b"ip"].decode(), int(state[b"port"]))
