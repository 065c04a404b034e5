"""Signing in and out, and who a request comes from.

A session is a random token in a cookie that scripts cannot read and other sites do not send; Redis has its
hash. It ends after 12 hours without use, after a week in any case, at sign-out, and when its user gets
another password. What a user may is read from the settings each time, not from the session. Whoever comes
from single sign-on has a session as well; theirs has the groups that the provider told.

Five attempts a minute from an address that go wrong, and 25 for a name, then a pause. A success does not
count, and forgets none of those before it. A browser that its user has signed in with before has five
attempts of its own: whatever strangers do to a name or from the same address, they lock nobody out there.

While Redis is away, who was seen in the last KNOWN_SECONDS may go on reading, so that the page can show what
it last knew; changes need Redis in any case.

Emits: signed_in (user; from single sign-on no name but the role), signed_out_everywhere (user),
sign_in_refused (warning; user if there is one, attempts).
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
from corral.dashboard.single_sign_on import Person, SingleSignOn
from corral.dashboard.users import User, Users
from corral.errors import RedisUnavailable
from corral.settings import Settings

log = structlog.get_logger(__name__)

#: Wrong ones in a window: from an address or a known browser, and for a name wherever they come from.
ATTEMPTS, ATTEMPTS_FOR_A_NAME, WINDOW_SECONDS = 5, 25, 60
LONGEST_SESSION_SECONDS = 7 * 86_400

#: Sessions that are remembered for the time without Redis, and for how long.
KNOWN_SESSIONS, KNOWN_SECONDS = 1_000, 900.0

#: How long something that begins one session only is remembered: longer than the provider takes it.
ONCE_SECONDS = 86_400

#: Passwords checked at once: each takes a core for 50 ms, and 64 MB.
CHECKS_AT_ONCE = 2

_WRONG = Problem(
    401, "wrong-password", "Not signed in", "That name and password do not go together. Check both."
)
_NO_PASSWORDS = Problem(
    403, "no-passwords", "Not signed in", "Nobody signs in with a password here. Use single sign-on."
)
_TAKEN = Problem(
    403, "name-taken", "Not signed in", "Somebody who signs in with a password has your name. Ask an admin."
)
_USED = Problem(401, "sign-on-refused", "Not signed in", "This sign-in was used already. Sign in again.")
NOT_SIGNED_IN = Problem(401, "not-signed-in", "Not signed in", "Sign in first: the session is over.")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """browser: what the browser keeps so that it is known again; empty for single sign-on."""

    token: str
    user: User
    browser: str = ""


class Door:
    """Lets users in and out, and knows them again."""

    def __init__(self, settings: Settings, users: Users, single: SingleSignOn | None = None) -> None:
        self._settings = settings
        self._users = users
        self._single = single
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)
        self._known: OrderedDict[str, tuple[Session, float]] = OrderedDict()

    async def sign_in(
        self, name: str, password: str, address: str, *, browser: str = "", before: str | None = None
    ) -> SignedIn:
        """A new session. Raises Refused: 401, or 429 after too many attempts; RedisUnavailable.

        browser: what the browser keeps from an earlier success. before: token of a session that this ends.
        """
        if not len(self._users):
            raise Refused(_NO_PASSWORDS)
        client, prefix = self._client(), self._settings.prefix
        async with answering():
            known = bool(browser) and await sessions.knows_browser(client, prefix, browser, name)
            limits = _limits(name, address, browser if known else "")
            counted = [
                (*await sessions.note_attempt(client, prefix, who, WINDOW_SECONDS), limit)
                for who, limit in limits.items()
            ]
        attempts = max(count for count, _, _ in counted)
        waits = [left for count, left, limit in counted if count > limit]
        if waits:
            log.warning("sign_in_refused", user=self._shown(name), attempts=attempts)
            raise Refused(_too_many(max(waits)))
        async with self._checks:
            user = await asyncio.to_thread(self._users.sign_in, name, password)
        if user is None:
            log.warning("sign_in_refused", user=self._shown(name), attempts=attempts)
            raise Refused(_WRONG)
        browser = browser if known else secrets.token_urlsafe(32)
        async with answering():
            for who in limits:
                await sessions.take_back_attempt(client, prefix, who, WINDOW_SECONDS)
            await sessions.remember_browser(client, prefix, browser, user.name)
        token = await self._begin(Session(user.name, _mark(user.password_hash)), before)
        log.info("signed_in", user=user.name)
        return SignedIn(token, user, browser)

    async def admit(self, person: Person, once: str) -> SignedIn:
        """A new session for whom single sign-on has named. `once`: what may begin one session only.

        Raises Refused, RedisUnavailable.
        """
        user = self._single.user(person.name, person.groups) if self._single else None
        if user is None or self._single is None:
            raise Refused(NOT_SIGNED_IN)
        if self._users.named(person.name):
            raise Refused(_TAKEN)
        async with answering():
            if not await sessions.use_once(self._client(), self._settings.prefix, once, ONCE_SECONDS):
                raise Refused(_USED)
        token = await self._begin(Session(user.name, _mark(self._single.identity), person.groups), None)
        log.info("signed_in", single_sign_on=True, role=str(user.role))
        return SignedIn(token, user)

    async def _begin(self, session: Session, before: str | None) -> str:
        token, until = secrets.token_urlsafe(32), round(time.time()) + LONGEST_SESSION_SECONDS
        async with answering():
            await sessions.begin(self._client(), self._settings.prefix, token, session, until)
        if before:
            await self.sign_out(before)
        return token

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
        user = self._as_now(session) if session is not None else None
        if user is None:
            raise Refused(NOT_SIGNED_IN)
        return user

    def _as_now(self, session: Session) -> User | None:
        """Whose session it is, with what they may by the settings of today; None: it is over."""
        if session.groups is None:
            user = self._users.named(session.user)
            return user if user is not None and session.mark == _mark(user.password_hash) else None
        single = self._single
        if single is None or session.mark != _mark(single.identity):
            return None
        return single.user(session.user, session.groups)

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


def _mark(begun_with: str) -> str:
    """What a session keeps of its password or provider: enough to see that there is another one now."""
    return hashlib.sha256(begun_with.encode()).hexdigest()[:16]


def _limits(name: str, address: str, known_browser: str) -> dict[str, int]:
    """Which counts an attempt adds to, and how far each may go."""
    if known_browser:
        return {f"browser:{known_browser}": ATTEMPTS}
    return {f"address:{address}": ATTEMPTS, f"name:{name}": ATTEMPTS_FOR_A_NAME}


def _too_many(seconds: int) -> Problem:
    return Problem(
        429,
        "too-many-attempts",
        "Too many attempts",
        f"{ATTEMPTS} attempts a minute, then a pause. Try again in {seconds} s.",
        headers=(("Retry-After", str(seconds)),),
    )
