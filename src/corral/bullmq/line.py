"""A line to Redis: script calls that are written at once, on one connection, and answered in order.

redis-py's clients write from a coroutine, so what is ready in the middle of a turn of the event loop leaves
only after it: the server rests while Python works. Here the bytes go out within `send`, and the server works
while the turn goes on. The connection is one of redis-py's (sign-in, TLS, parser); only who writes differs.

A line is never needed: while it is not open, its callers take their ordinary way. It opens by itself for
who uses it more than once, is not used for servers whose place may change (Sentinel, cluster), and a line
that was lost opens again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import redis.asyncio as aioredis
from redis.exceptions import NoScriptError, RedisError

from corral.bullmq.scripts import Argument, Script

#: Before a line that could not be opened is tried again.
AGAIN_SECONDS = 1.0


class Writing(Protocol):
    """What a line needs of a connection; see `connection.py`."""

    def is_usable(self) -> bool: ...
    def write_now(self, *command: Argument) -> None: ...
    async def connect(self) -> None: ...
    async def disconnect(self, nowait: bool = False) -> None: ...
    async def read_response(self) -> Any: ...


class _Sent(NamedTuple):
    script: Script
    keys: list[str]
    argument: bytes
    answered: Callable[[Any], None]


class Line:
    """One for each event loop and server: all queues share it."""

    def __init__(self, client: aioredis.Redis, connection: Writing | None) -> None:
        """`client`: for what the line cannot do. `connection` None: the line never opens."""
        self._client = client
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._sent: deque[_Sent] = deque()
        self._wanted = self._opening = False
        self._task: asyncio.Task[None] | None = None  # opens it, or reads from it
        self._not_before = 0.0

    def is_open(self) -> bool:
        """Whether `send` may be called. Asking for a line that is closed opens it for a later time."""
        connection = self._connection
        if connection is None or self._opening:
            return False  # while it signs in, the connection is open already
        if connection.is_usable():
            return True
        if self._wanted and self._task is None and self._loop.time() >= self._not_before:
            self._opening = True
            self._task = self._loop.create_task(self._open(connection))
        self._wanted = True
        return False

    def send(self, script: Script, keys: list[str], argument: bytes, answered: Callable[[Any], None]) -> None:
        """Call a script. `answered` gets what it returned, or the exception; it must not raise.

        A server that does not know the script is given it, as `Script` does.
        """
        assert self._connection is not None  # noqa: S101  # is_open
        self._connection.write_now("EVALSHA", script.sha, len(keys), *keys, argument)
        self._sent.append(_Sent(script, keys, argument, answered))
        if self._task is None:
            self._task = self._loop.create_task(self._read(self._connection))

    async def _open(self, connection: Writing) -> None:
        self._not_before = self._loop.time() + AGAIN_SECONDS
        try:
            await connection.disconnect(nowait=True)  # what the server closed
            await connection.connect()
        except (RedisError, OSError):
            pass  # the ordinary way says so
        finally:
            self._opening = False
            self._task = None

    async def _read(self, connection: Writing) -> None:
        sent = self._sent
        try:
            while sent:
                answer: Any
                try:
                    answer = await connection.read_response()
                except NoScriptError:
                    answer = await self._ordinarily(sent[0])
                except RedisError as error:
                    if not connection.is_usable():
                        raise
                    answer = error
                sent.popleft().answered(answer)
        except BaseException as error:
            # Whether they were executed is not known, so nothing is sent again.
            lost = list(sent)
            sent.clear()
            reason = error if isinstance(error, Exception) else ConnectionError("the call was cut off")
            for call in lost:
                call.answered(reason)
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)
            if not isinstance(error, Exception):
                raise
        finally:
            self._task = None

    async def _ordinarily(self, call: _Sent) -> Any:
        try:
            return await call.script(self._client, call.keys, call.argument)
        except (RedisError, OSError) as error:
            return error

    async def aclose(self) -> None:
        """Close it. What is under way is answered with an error."""
        connection, self._connection = self._connection, None
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if connection is not None:
            with contextlib.suppress(RedisError, OSError):
                await connection.disconnect()
