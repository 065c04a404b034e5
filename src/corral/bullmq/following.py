"""Connections that go where the keys are: to the master behind Sentinel, or to the owner of our slot.

A connection asks its locator where to connect, leaves a node that is not the one any more before its next
command, and gives up a node that says it is not the one (READONLY, MOVED, CLUSTERDOWN, …). Such an answer
means that nothing was executed; a single command is then sent again, for less than a second in all. What a
lost connection carried is not: whoever called knows what may be repeated. A pipeline is never sent again,
for part of it may have been executed.

A slot that is being moved key by key answers ASK and TRYAGAIN to scripts of several keys, at both ends: until
it has moved, the queue stands still as if Redis were away.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import redis
import redis.asyncio as aioredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from corral.bullmq.addresses import Node
from corral.bullmq.failures import ELSEWHERE, code
from corral.bullmq.locating import Locator

#: Waits before a command that was not executed is sent again. The owner of a slot is known at once.
AGAIN_SECONDS = (0.0, 0.05, 0.15, 0.3)


class NodeChanged(RedisConnectionError):
    """The node that was asked does not own the keys. Nothing was executed."""


def judge(error: ResponseError, locator: Locator, node: Node) -> NodeChanged | None:
    """What an answer says about the node it came from; tells the locator. None: nothing."""
    name = code(error)
    if name not in ELSEWHERE:
        return None
    if isinstance(error, MovedError) and name == "MOVED":
        locator.moved_to((error.host or node[0], int(error.port)))
    else:
        locator.doubt(node)
    return NodeChanged(f"{node[0]}:{node[1]} does not own the keys ({name}).")


class Following(AbstractConnection):
    """Mixin for the connections of an event loop. Only the asking for a node takes a thread."""

    host: str
    port: int

    def __init__(self, *, locator: Locator, **options: Any) -> None:
        self._locator = locator
        super().__init__(**options)

    async def connect(self) -> None:
        # Pools call it before each use, also of a connection that is open.
        self._locator.used()
        if self.is_connected and (self.host, self.port) != self._locator.node:
            await self.disconnect(nowait=True)
        parent: Any = super()  # redis-py's connections are half typed
        await parent.connect()

    async def connect_check_health(self, *args: Any, **options: Any) -> None:
        parent: Any = super()
        if not self.is_connected:
            node = self._locator.known()
            if node is None:
                node = await asyncio.to_thread(self._locator.locate)
            self.host, self.port = node
        try:
            await parent.connect_check_health(*args, **options)
        except (RedisConnectionError, RedisTimeoutError):
            self._locator.doubt((self.host, self.port))
            raise

    async def read_response(self, *args: Any, **options: Any) -> Any:
        node = (self.host, self.port)
        try:
            if self.socket_timeout is None:
                return await self._read_while_it_lasts(*args, **options)
            parent: Any = super()
            return await parent.read_response(*args, **options)
        except ResponseError as error:
            changed = judge(error, self._locator, node)
            if changed is None:
                raise
            await self.disconnect(nowait=True)
            raise changed from error
        except (RedisConnectionError, RedisTimeoutError, asyncio.CancelledError):
            self._locator.doubt(node)  # a call that was given up may have hung
            raise

    async def _read_while_it_lasts(self, *args: Any, **options: Any) -> Any:
        """A read without a time-out, given up when the node is not the one any more."""
        parent: Any = super()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:

                def leave() -> None:
                    with contextlib.suppress(RuntimeError):  # the read has just ended
                        limit.reschedule(loop.time())

                def tell() -> None:  # in the thread that found out
                    with contextlib.suppress(RuntimeError):  # the loop is closed
                        loop.call_soon_threadsafe(leave)

                self._locator.on_change.add(tell)
                try:
                    return await parent.read_response(*args, **options)
                finally:
                    self._locator.on_change.discard(tell)
        except TimeoutError as error:
            await self.disconnect(nowait=True)
            raise NodeChanged(f"{self.host}:{self.port} does not own the keys any more.") from error


class _FollowingThread(redis.connection.AbstractConnection):
    """The same for a thread."""

    host: str
    port: int

    def __init__(self, *, locator: Locator, **options: Any) -> None:
        self._locator = locator
        super().__init__(**options)

    def connect(self) -> None:
        self._locator.used()
        parent: Any = super()
        if self.is_connected and (self.host, self.port) != self._locator.node:
            parent.disconnect()
        parent.connect()

    def connect_check_health(self, *args: Any, **options: Any) -> None:
        parent: Any = super()
        if not self.is_connected:
            self.host, self.port = self._locator.locate()
        try:
            parent.connect_check_health(*args, **options)
        except (RedisConnectionError, RedisTimeoutError):
            self._locator.doubt((self.host, self.port))
            raise

    def read_response(self, *args: Any, **options: Any) -> Any:
        node = (self.host, self.port)
        parent: Any = super()
        try:
            return parent.read_response(*args, **options)
        except ResponseError as error:
            changed = judge(error, self._locator, node)
            if changed is None:
                raise
            parent.disconnect()
            raise changed from error
        except (RedisConnectionError, RedisTimeoutError):
            self._locator.doubt(node)
            raise


class FollowingThreadTcp(_FollowingThread, redis.Connection):
    pass


class FollowingThreadTls(_FollowingThread, redis.SSLConnection):
    pass


class FollowingClient(aioredis.Redis):
    """Sends a single command again that a node refused because it does not own the keys."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        parent: Any = super()
        for wait in AGAIN_SECONDS:
            try:
                return await parent.execute_command(*args, **options)
            except NodeChanged:
                await asyncio.sleep(wait)
        return await parent.execute_command(*args, **options)
