"""The wire of the dashboard: who is signed in, and how often somebody tried to. One round trip each.

A session is kept under the hash of its token: who reads Redis cannot sign in with what is there.
"""

from __future__ import annotations

import hashlib
from typing import Any

import redis.asyncio as aioredis

from corral.bullmq.keys import attempts_key, session_key

#: A session that nobody uses ends.
IDLE_SECONDS = 12 * 3600


async def begin(client: aioredis.Redis, prefix: str, token: str, user: str, until: int) -> None:
    """Note a session that ends at `until` (epoch seconds) at the latest."""
    key = session_key(prefix, _digest(token))
    pipe = client.pipeline(transaction=True)
    pipe.hset(key, mapping={"user": user, "until": until})
    pipe.expire(key, IDLE_SECONDS)
    await pipe.execute()


async def user_of(client: aioredis.Redis, prefix: str, token: str, now: float) -> str | None:
    """Whose session it is, which this use keeps alive; None: it is over, or was never one."""
    key = session_key(prefix, _digest(token))
    pipe = client.pipeline(transaction=False)
    pipe.hmget(key, "user", "until")
    pipe.expire(key, IDLE_SECONDS)
    (user, until), _ = await pipe.execute()
    if user is None or until is None or float(until) < now:
        return None
    found: str = user.decode(errors="replace")
    return found


async def end(client: aioredis.Redis, prefix: str, token: str) -> None:
    await client.delete(session_key(prefix, _digest(token)))


async def note_attempt(client: aioredis.Redis, prefix: str, who: str, seconds: int) -> tuple[int, int]:
    """Count an attempt to sign in. Returns how many this window has seen, and the seconds it still has."""
    key = attempts_key(prefix, _digest(who))
    pipe = client.pipeline(transaction=True)
    pipe.set(key, 0, ex=seconds, nx=True)
    pipe.incr(key)
    pipe.ttl(key)
    _, count, left = await pipe.execute()
    return int(count), max(1, int(left))


async def forget_attempts(client: aioredis.Redis, prefix: str, who: str) -> None:
    await client.delete(attempts_key(prefix, _digest(who)))


def _digest(text: Any) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()
