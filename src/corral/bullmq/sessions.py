"""The wire of the dashboard: who is signed in, and how often somebody tried to. One round trip each.

A session is kept under the hash of its token: who reads Redis cannot sign in with what is there. A list of
them for each user, under the hash of the name, is for ending them all.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any, NamedTuple

import redis.asyncio as aioredis

from corral.bullmq.keys import attempts_key, browser_key, session_key, used_key, user_sessions_key

#: A session that nobody uses ends.
IDLE_SECONDS = 12 * 3600


#: A browser that nobody signs in with is forgotten.
BROWSER_SECONDS = 90 * 86_400


class Session(NamedTuple):
    """Whose it is, and a mark of what it was begun with (password, provider): another one ends it.

    groups: of a session that single sign-on has begun; None: it was a password.
    """

    user: str
    mark: str
    groups: tuple[str, ...] | None = None


async def begin(client: aioredis.Redis, prefix: str, token: str, session: Session, until: int) -> None:
    """Note a session that ends at `until` (epoch seconds) at the latest."""
    key = session_key(prefix, _digest(token))
    pipe = client.pipeline(transaction=True)
    fields: dict[Any, Any] = {"user": session.user, "mark": session.mark, "until": until}
    if session.groups is not None:
        fields["groups"] = json.dumps(session.groups)
    pipe.hset(key, mapping=fields)
    pipe.expire(key, IDLE_SECONDS)
    await pipe.execute()
    await _list_among_own(client, prefix, token, session.user, until)


async def _list_among_own(client: aioredis.Redis, prefix: str, token: str, user: str, until: int) -> None:
    mine = user_sessions_key(prefix, _digest(user))
    pipe = client.pipeline(transaction=False)
    pipe.zremrangebyscore(mine, "-inf", time.time())
    pipe.zadd(mine, {_digest(token): until})
    pipe.expireat(mine, until)
    await pipe.execute()


async def find(client: aioredis.Redis, prefix: str, token: str, now: float) -> Session | None:
    """The session of a token, which this use keeps alive; None: it is over, or was never one."""
    key = session_key(prefix, _digest(token))
    pipe = client.pipeline(transaction=False)
    pipe.hmget(key, "user", "mark", "until", "groups")
    pipe.expire(key, IDLE_SECONDS)
    (user, mark, until, groups), _ = await pipe.execute()
    if user is None or mark is None or until is None or float(until) < now:
        return None
    of_groups = None if groups is None else tuple(json.loads(groups))
    return Session(user.decode(errors="replace"), mark.decode(errors="replace"), of_groups)


async def end(client: aioredis.Redis, prefix: str, token: str) -> None:
    await client.delete(session_key(prefix, _digest(token)))


class Standing(NamedTuple):
    """One of a user's sessions, by the hash of its token. Epoch seconds."""

    digest: str
    until: float
    last_used: float


async def of_user(client: aioredis.Redis, prefix: str, user: str, now: float) -> list[Standing]:
    """The sessions of a user that are not over. Two round trips."""
    known: Any = await client.zrange(user_sessions_key(prefix, _digest(user)), 0, -1)
    digests = [digest.decode() for digest in known]
    pipe = client.pipeline(transaction=False)
    for digest in digests:
        pipe.hget(session_key(prefix, digest), "until")
        pipe.ttl(session_key(prefix, digest))
    answers = await pipe.execute()
    found = zip(digests, answers[::2], answers[1::2], strict=True)
    return [
        Standing(digest, float(until), now - (IDLE_SECONDS - int(left)))
        for digest, until, left in found
        if until is not None and float(until) > now
    ]


async def end_all(client: aioredis.Redis, prefix: str, user: str) -> None:
    """Two round trips."""
    mine = user_sessions_key(prefix, _digest(user))
    known: Any = await client.zrange(mine, 0, -1)
    pipe = client.pipeline(transaction=False)
    for digest in known:
        pipe.delete(session_key(prefix, digest.decode()))
    pipe.delete(mine)
    await pipe.execute()


def digest_of(token: str) -> str:
    """What a token is known by in Redis."""
    return _digest(token)


async def note_attempt(client: aioredis.Redis, prefix: str, who: str, seconds: int) -> tuple[int, int]:
    """Count an attempt to sign in. Returns how many this window has seen, and the seconds it still has."""
    key = attempts_key(prefix, _digest(who))
    pipe = client.pipeline(transaction=True)
    pipe.set(key, 0, ex=seconds, nx=True)
    pipe.incr(key)
    pipe.ttl(key)
    _, count, left = await pipe.execute()
    return int(count), max(1, int(left))


async def take_back_attempt(client: aioredis.Redis, prefix: str, who: str, seconds: int) -> None:
    """One that succeeded does not count; those before it still do."""
    key = attempts_key(prefix, _digest(who))
    pipe = client.pipeline(transaction=True)
    pipe.set(key, 1, ex=seconds, nx=True)
    pipe.decr(key)
    await pipe.execute()


async def remember_browser(client: aioredis.Redis, prefix: str, token: str, user: str) -> None:
    """Note that this user has signed in with the browser that keeps this token."""
    await client.set(browser_key(prefix, _digest(token)), user, ex=BROWSER_SECONDS)


async def knows_browser(client: aioredis.Redis, prefix: str, token: str, user: str) -> bool:
    """Whether this user has signed in with the browser that keeps this token."""
    found = await client.get(browser_key(prefix, _digest(token)))
    return found is not None and bool(found == user.encode())


async def use_once(client: aioredis.Redis, prefix: str, what: str, seconds: int) -> bool:
    """Whether nobody has used this in the last `seconds`; from now on somebody has."""
    return bool(await client.set(used_key(prefix, _digest(what)), 1, ex=seconds, nx=True))


def _digest(text: Any) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()
