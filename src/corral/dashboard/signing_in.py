"""Signing in and out, and who a request comes from.

A session is a random token in a cookie that scripts cannot read and other sites do not send; Redis has its
hash. It ends after 12 hours without use, after a week in any case, at sign-out, and when its user gets
another password. What a user may is read from the settings each time, not from the session.

Five attempts a minute for each name and each address, then a pause; a success forgets them.

While Redis is away, who was seen in the last KNOWN_SECONDS may go on reading, so that the page can show what
it last knew; changes need Redis in any case.

Emits: signed_in, signed_out, signed_out_everywhere (user), sign_in_refused (warning; user if there is one,
attempts).
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass

import redis.asyncio as aioredis
import structlog

from corral.api.lookup import answering
from corral.api.problems import Problem, Refused
from corral.bullmq import sessions
from corral.bullmq.connection import Address, shared_client
from corral.bullmq.sessions import Session
from corral.dashboard.users import User, Users
from corral.errors import RedisUnavailable
from corral.settings import Settings

log = structlog.get_logger(__name__)

ATTEMPTS, WINDOW_SECONDS = 5, 60
LONGEST_SESSION_SECONDS = 7 * 86_400

#: Sessions that are remembered for the time without Redis, and for how long.
KNOWN_SESSIONS, KNOWN_SECONDS = 1_000, 900.0

#: Passwords checked at once: each takes a core for 50 ms, and 64 MB.
CHECKS_AT_ONCE = 2

_WRONG = Problem(
    401, "wrong-password", "Not signed in", "That name and password do not go together. Check both."
)
NOT_SIGNED_IN = Problem(401, "not-signed-in", "Not signed in", "Sign in first: the session is over.")


@dataclass(frozen=True, slots=True)
class SignedIn:
    token: str
    user: User


class Door:
    """Lets users in and out, and knows them again."""

    def __init__(self, settings: Settings, users: Users) -> None:
        self._settings = settings
        self._users = users
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)
        self._known: OrderedDict[str, tuple[Session, float]] = OrderedDict()

    async def sign_in(self, name: str, password: str, address: str) -> SignedIn:
        """A new session. Raises Refused: 401, or 429 after too many attempts; RedisUnavailable."""
        client, prefix = self._client(), self._settings.prefix
        async with answering():
            counted = [
                await sessions.note_attempt(client, prefix, who, WINDOW_SECONDS)
                for who in (f"name:{name}", f"address:{address}")
            ]
        attempts, left = max(counted)
        if attempts > ATTEMPTS:
            log.warning("sign_in_refused", user=self._shown(name), attempts=attempts)
            raise Refused(_too_many(left))
        async with self._checks:
            user = await asyncio.to_thread(self._users.sign_in, name, password)
        if user is None:
            log.warning("sign_in_refused", user=self._shown(name), attempts=attempts)
            raise Refused(_WRONG)
        token = secrets.token_urlsafe(32)
        async with answering():
            session = Session(user.name, _mark(user))
            await sessions.begin(client, prefix, token, session, round(time.time()) + LONGEST_SESSION_SECONDS)
            for who in (f"name:{name}", f"address:{address}"):
                await sessions.forget_attempts(client, prefix, who)
        log.info("signed_in", user=user.name)
        return SignedIn(token, user)

    async def sign_out(self, token: str) -> None:
        """End a session. Raises RedisUnavailable: then it is not ended."""
        self._known.pop(token, None)
        async with answering():
            await sessions.end(self._client(), self._settings.prefix, token)

    async def sign_out_everywhere(self, user: str) -> None:
        """End all sessions of a user. Raises RedisUnavailable."""
        for token in [token for token, (session, _) in self._known.items() if session.user == user]:
            del self._known[token]
        async with answering():
            await sessions.end_all(self._client(), self._settings.prefix, user)
        log.info("signed_out_everywhere", user=user)

    async def sessions_of(self, user: str) -> list[sessions.Standing]:
        """A user's sessions, the last used first. Raises RedisUnavailable."""
        async with answering():
            found = await sessions.of_user(self._client(), self._settings.prefix, user, time.time())
        return sorted(found, key=lambda session: session.last_used, reverse=True)

    async def user_of(self, token: str | None, *, reading: bool) -> User:
        """Who has this session. One round trip. Raises Refused (401), RedisUnavailable."""
        if not token:
            raise Refused(NOT_SIGNED_IN)
        try:
            async with answering():
                session = await sessions.find(self._client(), self._settings.prefix, token, time.time())
        except RedisUnavailable:
            seen = self._known.get(token)
            if not reading or seen is None or time.monotonic() - seen[1] > KNOWN_SECONDS:
                raise
            session = seen[0]
        else:
            self._remember(token, session)
        user = self._users.named(session.user) if session is not None else None
        if user is None or session is None or session.mark != _mark(user):
            raise Refused(NOT_SIGNED_IN)
        return user

    def _remember(self, token: str, session: Session | None) -> None:
        self._known.pop(token, None)
        if session is not None:
            self._known[token] = (session, time.monotonic())
            if len(self._known) > KNOWN_SESSIONS:
                self._known.popitem(last=False)

    def _client(self) -> aioredis.Redis:
        return shared_client(Address.resolve(self._settings.redis_url, self._settings))

    def _shown(self, name: str) -> str | None:
        """A name that nobody has may be a password in the wrong field."""
        return name if self._users.named(name) else None


def _mark(user: User) -> str:
    """What a session keeps of the password it was begun with: enough to see that there is another now."""
    return hashlib.sha256(user.password_hash.encode()).hexdigest()[:16]


def _too_many(seconds: int) -> Problem:
    return Problem(
        429,
        "too-many-attempts",
        "Too many attempts",
        f"{ATTEMPTS} attempts a minute, then a pause. Try again in {seconds} s.",
        headers=(("Retry-After", str(seconds)),),
    )
