"""Connections to Redis: one small pool for each event loop and server, and one blocking connection a queue.

Budget of a worker process: 1 blocking connection for each queue (it waits for work and carries the
name that BullMQ's getWorkers() looks for), and for each server 1 for the thread that keeps locks, 1 that
listens for cancellations (pub/sub), and a shared pool that grows to what runs at once (2 calls in flight for
each busy queue, plus progress and logs), at most POOL_LIMIT with the line that adds go over (line.py). Who
waits for results or events of a queue has 1 more for each such queue. Behind Sentinel the process has 1 to
each Sentinel.

No command is repeated by the client: a repeated `add` would add twice. Whoever calls knows what may be
repeated. Blocking connections have no socket time-out (redis-py 8 sets 5 s, which breaks a longer
BZPOPMIN); their caller watches the clock instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncGenerator, Callable, Iterable
from functools import cache
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import redis
import redis.asyncio as aioredis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry as SyncRetry

from corral.bullmq.addresses import Address
from corral.bullmq.cluster import ClusterLocator
from corral.bullmq.following import Following, FollowingClient, FollowingThreadTcp, FollowingThreadTls
from corral.bullmq.line import Line
from corral.bullmq.locating import Locator
from corral.bullmq.sentinel import SentinelLocator

__all__ = [
    "Address", "blocking_client", "close_shared_clients", "forget_closed_loops", "pooled_client",
    "shared_client", "shared_line", "stream_client", "thread_client",
]  # fmt: skip

#: Connections of the shared pool and its line. Redis runs one command at a time, so more in flight gain
#: nothing; who finds none free waits its turn.
POOL_LIMIT = 16

#: A command that takes longer counts as a lost connection. Scripts run for single milliseconds.
COMMAND_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 2.0


class _Writes(AbstractConnection):
    """Commands written without `asyncio.wait_for`, which redis-py uses where there is a socket time-out.

    Before Python 3.12 that swallows a cancellation which comes in the moment of its end, so that the time
    limit of a job, or of a caller, would pass unseen. It also costs a task a command.
    """

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        limit = self.socket_timeout
        self.socket_timeout = None  # a connection has one user at a time
        try:
            async with asyncio.timeout(limit):
                await super().send_packed_command(command, check_health)
        except TimeoutError as error:
            raise RedisTimeoutError("Timeout writing to socket") from error
        finally:
            self.socket_timeout = limit

    def is_usable(self) -> bool:
        """Open, as far as is known here; for a line."""
        reader, writer = self._reader, self._writer
        return reader is not None and writer is not None and not writer.is_closing() and not reader.at_eof()

    def write_now(self, *command: str | bytes | int | float) -> None:
        """Hand the bytes of a command to the socket before this returns. Whoever calls bounds how many."""
        assert self._writer is not None  # noqa: S101  # is_usable
        self._writer.writelines(self.pack_command(*command))


class _Tcp(_Writes, aioredis.Connection):
    pass


class _Tls(_Writes, aioredis.SSLConnection):
    pass


class _Unix(_Writes, aioredis.UnixDomainSocketConnection):
    pass


class _FollowingTcp(Following, _Tcp):
    pass


class _FollowingTls(Following, _Tls):
    pass


_FIXED = frozenset(
    ("socket_timeout", "socket_connect_timeout", "protocol", "retry_on_timeout", "max_connections", "timeout")
)


def _options(address: Address, client_name: str | None) -> dict[str, Any]:
    targets = address.targets
    ours = {
        "password": address.password,
        "client_name": client_name,
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "socket_keepalive": None if "path" in targets.options else True,  # a socket file has none
        "locator": locator_of(address),
        "protocol": 2,  # RESP3 turns sorted set replies into other shapes and gains nothing here
        "driver_info": redis.DriverInfo(name="corral"),
    }
    # The URL wins, but for what the callers of these clients rely on.
    return _without_none(ours) | {n: v for n, v in targets.options.items() if n not in _FIXED}


@cache
def locator_of(address: Address) -> Locator | None:
    """The process's locator for an address of Sentinels or of a cluster, for all loops and threads."""
    match address.targets.kind:
        case "sentinel":
            return SentinelLocator(address.targets)
        case "cluster":
            return ClusterLocator(address)
    return None


def _connection_class(address: Address) -> type[Any]:
    targets = address.targets
    if targets.kind != "single":
        return _FollowingTls if targets.tls else _FollowingTcp
    return _Tls if targets.tls else _Unix if "path" in targets.options else _Tcp


def pooled_client(address: Address) -> aioredis.Redis:
    """A client of its own pool, for everything that answers at once."""
    limits = {"max_connections": POOL_LIMIT - 1, "timeout": COMMAND_TIMEOUT_SECONDS}  # and the line
    return _client(address, aioredis.BlockingConnectionPool, limits)


def _unbounded_client(address: Address) -> aioredis.Redis:
    return _client(address, aioredis.ConnectionPool, {})


def _client(
    address: Address, pool_class: type[aioredis.ConnectionPool], limits: dict[str, Any]
) -> aioredis.Redis:
    pool = pool_class(
        connection_class=_connection_class(address),
        socket_timeout=COMMAND_TIMEOUT_SECONDS,
        retry=AsyncRetry(NoBackoff(), 0),
        **limits,
        **_options(address, None),
    )
    kind = aioredis.Redis if address.targets.kind == "single" else FollowingClient
    client: aioredis.Redis = kind.from_pool(pool)  # it owns the pool: closing one closes both
    return client


def blocking_client(address: Address, client_name: str) -> aioredis.Redis:
    """A client with a single connection that may wait for as long as its caller lets it."""
    pool = aioredis.ConnectionPool(
        connection_class=_connection_class(address),
        max_connections=1,
        socket_timeout=None,
        retry=AsyncRetry(NoBackoff(), 0),
        **_options(address, client_name),
    )
    client: aioredis.Redis = aioredis.Redis.from_pool(pool)
    return client


def thread_client(address: Address) -> redis.Redis:
    """A client for a thread that is not an event loop."""
    targets = address.targets
    kind: Any = redis.SSLConnection if targets.tls else redis.Connection
    if targets.kind != "single":
        kind = FollowingThreadTls if targets.tls else FollowingThreadTcp
    elif "path" in targets.options:
        kind = redis.UnixDomainSocketConnection
    pool = redis.ConnectionPool(
        connection_class=kind,
        socket_timeout=COMMAND_TIMEOUT_SECONDS,
        retry=SyncRetry(NoBackoff(), 0),
        **_options(address, None),
    )
    client: redis.Redis = redis.Redis.from_pool(pool)
    return client


def _without_none(options: dict[str, Any]) -> dict[str, Any]:
    # A keyword that is None would override what the URL says.
    return {name: value for name, value in options.items() if value is not None}


#: Held while something is tied to a loop for the first time: threads with loops of their own share a queue.
binding = threading.RLock()
# A child that was forked while another thread held it would wait for ever.
os.register_at_fork(before=binding.acquire, after_in_parent=binding.release, after_in_child=binding.release)


class _Closable(Protocol):
    async def aclose(self) -> None: ...


_Made = TypeVar("_Made", bound=_Closable)
_Clients = dict[tuple[Address, Callable[[Address], _Closable]], Any]
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, _Clients] = WeakKeyDictionary()
_closers: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = WeakKeyDictionary()


def shared_client(address: Address) -> aioredis.Redis:
    """The running loop's client for this server: all queues of a process share one pool.

    For calls that answer at once. One that blocks would keep a connection from them: see `stream_client`.
    """
    return _of_loop(address, pooled_client)


def shared_line(address: Address) -> Line:
    """The running loop's line to this server: what is added by all queues of a process goes over it."""
    return _of_loop(address, _line)


def _line(address: Address) -> Line:
    client = shared_client(address)
    single = address.targets.kind == "single"
    make: Any = client.connection_pool.make_connection  # redis-py's pools are half typed
    return Line(client, make() if single else None)


def stream_client(address: Address) -> aioredis.Redis:
    """The running loop's client for reads that block, each for less than COMMAND_TIMEOUT_SECONDS.

    It opens as many connections as there are such reads at once.
    """
    return _of_loop(address, _unbounded_client)


def _of_loop(address: Address, make: Callable[[Address], _Made]) -> _Made:
    loop = asyncio.get_running_loop()
    with binding:
        if loop not in _shared:
            forget_closed_loops(_shared)
            _close_with(loop)
        clients = _shared.setdefault(loop, {})
        key = (address, make)
        if key not in clients:
            clients[key] = make(address)
        made: _Made = clients[key]
        return made


def forget_closed_loops(by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Any]) -> None:
    """Connections keep their loop alive, and so each other; `asyncio.run` in a script leaves them behind."""
    for loop in [loop for loop in by_loop if loop.is_closed()]:
        del by_loop[loop]


def _close_with(loop: asyncio.AbstractEventLoop) -> None:
    """Have the running loop close its clients at its end, for who does not: a script, a test.

    Before `asyncio.run` and its like close a loop, they finish the asynchronous generators begun in it.
    """
    forget_closed_loops(_closers)
    if loop in _closers:
        return
    closer = _closers[loop] = _at_the_end_of_the_loop()
    with contextlib.suppress(StopIteration):
        closer.__anext__().send(None)  # up to its yield, without waiting for anything


async def _at_the_end_of_the_loop() -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        _closers.pop(asyncio.get_running_loop(), None)  # this generator
        await close_shared_clients()


async def close_shared_clients() -> None:
    """Close what the running loop opened. Queues open it again when used again."""
    loop = asyncio.get_running_loop()
    clients, closer = _shared.pop(loop, {}), _closers.pop(loop, None)
    for client in reversed(clients.values()):  # a line before the client that it stands on
        await client.aclose()
    if closer is not None:  # it would keep the loop
        await closer.aclose()
