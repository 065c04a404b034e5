"""What is remembered of endpoints that failed: how often in a row, and whether they are disabled.

Each has a hash `corral:<prefix>:webhooks:endpoint:<digest>` (url, failures, reason, disabledAt), found by the
sorted set `corral:<prefix>:webhooks:endpoints`. An endpoint is a whole URL. One that works has neither.
Both go 30 days after the last thing that happened, and the endpoint is then tried again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import redis.asyncio as aioredis

from corral.hooks import QUEUE

KEPT_SECONDS = 30 * 86_400

#: Endpoints listed; whoever has more troubles than that has one.
MOST = 1_000


@dataclass(frozen=True, slots=True)
class EndpointState:
    """An endpoint. `disabled_at`: epoch seconds, None while it is tried."""

    id: str
    url: str
    failures: int = 0
    reason: str = ""
    disabled_at: float | None = None


class Endpoints:
    """The endpoints under a prefix. Each method is one round trip; raises what redis-py raises."""

    def __init__(self, client: aioredis.Redis, prefix: str) -> None:
        self._client = client
        self._base = f"corral:{prefix}:{QUEUE}:endpoint"

    async def state(self, url: str) -> EndpointState:
        """What is known of a URL."""
        fields: Any = await self._client.hgetall(self._key(digest(url)))
        return _read(digest(url), url, fields)

    async def failed(self, url: str, reason: str, now: float) -> int:
        """A delivery failed for good. Returns how many did in a row."""
        return int((await self._write(url, {"url": url, "reason": reason}, now))[0])

    async def disable(self, url: str, reason: str, now: float) -> None:
        """Send nothing there any more."""
        await self._write(url, {"url": url, "reason": reason, "disabledAt": f"{now:.3f}"}, now, failures=0)

    async def forget(self, url_or_id: str) -> bool:
        """It works, or is to be tried again. False: nothing was known of it."""
        name = url_or_id if len(url_or_id) == _DIGITS and "/" not in url_or_id else digest(url_or_id)
        pipe = self._client.pipeline()
        pipe.delete(self._key(name))
        pipe.zrem(f"{self._base}s", name)
        return bool((await pipe.execute())[0])

    async def all(self) -> list[EndpointState]:
        """Those that failed last or are disabled, the latest first. Two round trips."""
        members: Any = await self._client.zrevrange(f"{self._base}s", 0, MOST - 1)
        names = [name.decode() for name in members]
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            pipe.hgetall(self._key(name))
        found = zip(names, await pipe.execute() if names else [], strict=True)
        return [_read(name, "", fields) for name, fields in found if fields]

    async def _write(self, url: str, fields: dict[Any, Any], now: float, failures: int = 1) -> list[int]:
        key, names = self._key(digest(url)), f"{self._base}s"
        pipe = self._client.pipeline()
        pipe.hincrby(key, "failures", failures)
        pipe.hset(key, mapping=fields)
        pipe.expire(key, KEPT_SECONDS)
        pipe.zadd(names, {digest(url): now})
        pipe.zremrangebyscore(names, "-inf", now - KEPT_SECONDS)
        pipe.expire(names, KEPT_SECONDS)
        result: list[int] = await pipe.execute()
        return result

    def _key(self, name: str) -> str:
        return f"{self._base}:{name}"


_DIGITS = 16


def digest(url: str) -> str:
    """The name of an endpoint: its URL may be long, and may be a secret."""
    return hashlib.blake2b(url.encode(errors="replace"), digest_size=_DIGITS // 2).hexdigest()


def _read(name: str, url: str, fields: dict[bytes, bytes]) -> EndpointState:
    def text(field: bytes) -> str:
        return fields.get(field, b"").decode(errors="replace")

    at = text(b"disabledAt")
    return EndpointState(
        id=name,
        url=url or text(b"url"),
        failures=int(text(b"failures") or 0),
        reason=text(b"reason"),
        disabled_at=float(at) if at else None,
    )
