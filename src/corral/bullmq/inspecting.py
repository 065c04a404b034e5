"""Looking at the server itself: how it is set, who is connected, what it lets us do. Changes nothing.

Everything may be refused, by a user's rights or by a managed service: what was not told is absent, and the
command is named among the refused ones. Raises what redis-py raises if the server does not answer.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import redis.asyncio as aioredis
from redis.exceptions import RedisError, ResponseError

from corral.bullmq.access import check_access
from corral.bullmq.connection import Address, blocking_client, pooled_client
from corral.bullmq.failures import code
from corral.bullmq.keys import QueueKeys
from corral.errors import ConfigurationError

#: Looked up when no queue is known: rights are tried on a key of it that is gone at once.
SCRATCH_QUEUE = "corral-doctor"

#: Questions for the time; the quickest answer tells the clocks' difference best.
CLOCK_TRIES = 3

_SETTINGS = ("save", "appendfsync", "maxmemory-policy", "maxclients")


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the server told, by its own names. clients: (name, address); None if it may not be asked."""

    info: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    clients: tuple[tuple[str, str], ...] | None = None
    refused: tuple[str, ...] = ()


async def inspect(client: aioredis.Redis) -> Inspected:
    """INFO, CONFIG GET and CLIENT LIST. One round trip."""
    pipe = client.pipeline(transaction=False)
    pipe.info()
    for name in _SETTINGS:
        pipe.config_get(name)
    pipe.client_list()
    info, *settings, clients = await pipe.execute(raise_on_error=False)
    refused = [
        name for name, reply in (("INFO", info), ("CLIENT LIST", clients)) if isinstance(reply, ResponseError)
    ]
    if any(isinstance(reply, ResponseError) for reply in settings):
        refused.insert(0, "CONFIG GET")
    for reply in (info, *settings, clients):
        if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
            raise reply
    return Inspected(
        info=info if isinstance(info, dict) else {},
        config={
            _text(k): _text(v) for reply in settings if isinstance(reply, dict) for k, v in reply.items()
        },
        clients=tuple((_text(row.get("name", "")), _text(row.get("addr", ""))) for row in clients)
        if isinstance(clients, list)
        else None,
        refused=tuple(refused),
    )


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def workers_of(clients: tuple[tuple[str, str], ...], prefix: str) -> dict[str, tuple[str, ...]]:
    """Machines of the workers of each queue, one a connection: BullMQ's and ours have a name that tells."""
    found: dict[str, list[str]] = {}
    for name, address in clients:
        if not name.startswith(f"{prefix}:"):
            continue
        encoded, _, role = name[len(prefix) + 1 :].partition(":")
        if role and not role.startswith("w"):
            continue  # a connection for events
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            queue = base64.b64decode(encoded, validate=True).decode()
            found.setdefault(queue, []).append(address.rpartition(":")[0])
    return {queue: tuple(hosts) for queue, hosts in found.items()}


@dataclass(frozen=True, slots=True)
class Clocks:
    ahead_seconds: float
    round_trip_seconds: float


async def clocks(client: aioredis.Redis) -> Clocks:
    """How far the server's clock is ahead of this machine's: the answer counts as made half way. CLOCK_TRIES
    round trips. Raises what redis-py raises.
    """
    seen = []
    for _ in range(CLOCK_TRIES):
        here, started = time.time(), time.monotonic()
        seconds, microseconds = await client.time()
        trip = time.monotonic() - started
        seen.append(Clocks(seconds + microseconds / 1_000_000 - here - trip / 2, trip))
    return min(seen, key=lambda clocks: clocks.round_trip_seconds)


async def lets_anyone_in(address: Address) -> bool | None:
    """Whether a client without name and password is served. One connection. None: that cannot be tried."""
    if address.targets.kind != "single":
        return None
    stranger = pooled_client(without_login(address))
    try:
        await stranger.ping()
    except (RedisError, OSError) as error:
        return False if code(error) in ("NOAUTH", "NOPERM", "ResponseError", "AuthenticationError") else None
    finally:
        await stranger.aclose()
    return True


def without_login(address: Address) -> Address:
    """The same place, with nobody's name. The query stays: it says how TLS is done."""
    parts = urlsplit(address.url)
    query = "&".join(
        part for part in parts.query.split("&") if part.partition("=")[0] not in ("username", "password")
    )
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query)
    return replace(address, url=bare.geturl(), password=None)


async def lacking_rights(client: aioredis.Redis, address: Address, keys: QueueKeys) -> str:
    """What our user lacks of the rights of a worker, in words; "": nothing. Some six round trips."""
    blocking = blocking_client(address, keys.client_name("doctor"))
    try:
        await check_access(client, blocking, keys)
    except ConfigurationError as error:
        return str(error)
    finally:
        await blocking.aclose()
    return ""
