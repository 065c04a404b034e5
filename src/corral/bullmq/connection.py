"""Connections to Redis: one small pool for each event loop and server, and one blocking connection a queue.

Budget of a worker process: 1 blocking connection for each queue (it waits for work and carries the
name that BullMQ's getWorkers() looks for), and for each server 1 for the thread that keeps locks, 1 that
listens for cancellations (pub/sub), and a shared pool that grows to what runs at once (2 calls in flight for
each busy queue, plus progress and logs), at most POOL_LIMIT.

No command is repeated by the client: a repeated `add` would add twice. Whoever calls knows what may be
repeated. Blocking connections have no socket time-out (redis-py 8 sets 5 s, which breaks a longer
BZPOPMIN); their caller watches the clock instead.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import redis
import redis.asyncio as aioredis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry as SyncRetry

from corral.errors import ConfigurationError
from corral.settings import Settings

#: Connections of the shared pool; far above what a process uses, low enough to spare the server.
POOL_LIMIT = 32

#: A command that takes longer counts as a lost connection. Scripts run for single milliseconds.
COMMAND_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is, and as whom to enter. The password never appears in the repr."""

    url: str
    password: str | None

    @classmethod
    def resolve(cls, url: str | None = None, settings: Settings | None = None) -> Address:
        """The given URL, or the environment's REDIS_URL. A password in the URL wins over REDIS_PASSWORD."""
        settings = settings or Settings.load()
        url = url or settings.redis_url
        parts = urlsplit(url)
        if parts.scheme not in _CONNECTIONS:
            raise ConfigurationError("REDIS_URL must start with redis://, rediss:// or unix://.")
        password = None if parts.password else settings.redis_password.get_secret_value() or None
        return cls(url, password)

    def __repr__(self) -> str:
        parts = urlsplit(self.url)
        return f"Address({parts.scheme}://{parts.hostname or ''}:{parts.port or ''}{parts.path})"


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


class _Tcp(_Writes, aioredis.Connection):
    pass


class _Tls(_Writes, aioredis.SSLConnection):
    pass


class _Unix(_Writes, aioredis.UnixDomainSocketConnection):
    pass


_CONNECTIONS = {"redis": _Tcp, "rediss": _Tls, "unix": _Unix}


def _options(address: Address, client_name: str | None) -> dict[str, Any]:
    return {
        "password": address.password,
        "client_name": client_name,
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "socket_keepalive": None if address.url.startswith("unix") else True,  # a socket file has none
        "protocol": 2,  # RESP3 turns sorted set replies into other shapes and gains nothing here
        "driver_info": redis.DriverInfo(name="corral"),
    }


def pooled_client(address: Address) -> aioredis.Redis:
    """A client of its own pool, for everything that answers at once."""
    pool = aioredis.BlockingConnectionPool.from_url(
        address.url,
        connection_class=_CONNECTIONS[urlsplit(address.url).scheme],
        max_connections=POOL_LIMIT,
        timeout=COMMAND_TIMEOUT_SECONDS,
        socket_timeout=COMMAND_TIMEOUT_SECONDS,
        retry=AsyncRetry(NoBackoff(), 0),
        **_without_none(_options(address, None)),
    )
    client: aioredis.Redis = aioredis.Redis.from_pool(pool)  # it owns the pool: closing one closes both
    return client


def blocking_client(address: Address, client_name: str) -> aioredis.Redis:
    """A client with a single connection that may wait for as long as its caller lets it."""
    client: aioredis.Redis = aioredis.Redis.from_url(
        address.url,
        max_connections=1,
        socket_timeout=None,
        retry=AsyncRetry(NoBackoff(), 0),
        **_without_none(_options(address, client_name)),
    )
    return client


def thread_client(address: Address) -> redis.Redis:
    """A client for a thread that is not an event loop."""
    client: redis.Redis = redis.Redis.from_url(
        address.url,
        socket_timeout=COMMAND_TIMEOUT_SECONDS,
        retry=SyncRetry(NoBackoff(), 0),
        **_without_none(_options(address, None)),
    )
    return client


def _without_none(options: dict[str, Any]) -> dict[str, Any]:
    # A keyword that is None would override what the URL says.
    return {name: value for name, value in options.items() if value is not None}


#: Held while something is tied to a loop for the first time: threads with loops of their own share a queue.
binding = threading.RLock()
# A child that was forked while another thread held it would wait for ever.
os.register_at_fork(before=binding.acquire, after_in_parent=binding.release, after_in_child=binding.release)

_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Address, aioredis.Redis]] = WeakKeyDictionary()


def shared_client(address: Address) -> aioredis.Redis:
    """The running loop's client for this server: all queues of a process share one pool."""
    loop = asyncio.get_running_loop()
    with binding:
        if loop not in _shared:
            forget_closed_loops(_shared)
        clients = _shared.setdefault(loop, {})
        if address not in clients:
            clients[address] = pooled_client(address)
        return clients[address]


def forget_closed_loops(by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Any]) -> None:
    """Connections keep their loop alive, and so each other; `asyncio.run` in a script leaves them behind."""
    for loop in [loop for loop in by_loop if loop.is_closed()]:
        del by_loop[loop]


async def close_shared_clients() -> None:
    """Close what the running loop opened. Queues open it again when used again."""
    for client in _shared.pop(asyncio.get_running_loop(), {}).values():
        await client.aclose()
