"""Who must not be written to: addresses that bounced, complained or unsubscribed. Kept in Redis.

Guarantees: addresses are compared without regard to case, and domains in their ASCII form. An address is in
the list at most once, with the reason and the time of its latest entry. Nothing of it goes to a log.
Limits: addresses are stored as they are, not hashed. An operator has to read the list, hand it to another
provider and answer a person who asks; and the jobs beside it hold the same addresses. Whoever may read this
Redis may read it. Entries do not expire: only `remove` ends one.

Keys: `corral:<prefix>:mail-suppressed`, a hash of address to reason; `corral:<prefix>:mail-suppressed-order`,
a sorted set of addresses by time. Both change in one transaction. Options: REDIS_URL, CORRAL_PREFIX.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from corral.bullmq.connection import Address, shared_client
from corral.bullmq.failures import as_corral_error
from corral.bullmq.keys import suppressed_keys
from corral.errors import InvalidInput
from corral.mail.addresses import comparable
from corral.settings import Settings

#: Entries of a page, unless asked for fewer, and at most.
PAGE = 100
PAGE_LIMIT = 1000

#: A word for programs and people, never a sentence of a provider: that may quote the person.
_REASON = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Suppressed:
    """An entry. `at` is in epoch seconds."""

    address: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, the newest first. `total` counts the whole list."""

    entries: tuple[Suppressed, ...]
    total: int


class SuppressionList:
    """The list of one Redis and prefix, usable from any event loop. Without settings: the environment's.

    Methods raise RedisUnavailable where Redis does not answer.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        settings = settings or Settings.load()
        self._address = Address.resolve(settings=settings)
        self._reasons, self._order = suppressed_keys(settings.prefix)

    async def add(self, address: str, reason: str) -> None:
        """Write no more to `address`. An entry that is there gets the new reason and time. One round trip.

        reason: one lower-case word of up to 40 characters: bounce, complaint, unsubscribe, manual.
        Raises InvalidInput for an empty address or another kind of reason.
        """
        if not _REASON.fullmatch(reason):
            raise InvalidInput(
                "The reason of a suppression is one lower-case word: bounce, complaint, unsubscribe, manual."
            )
        member = comparable(address)
        if not member:
            raise InvalidInput("There is no address to suppress.")
        with self._errors():
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hset(self._reasons, member, reason)
                pipe.zadd(self._order, {member: time.time()})
                await pipe.execute()

    async def reason(self, address: str) -> str | None:
        """Why `address` is suppressed; None if it is not. One round trip."""
        return (await self.reasons([address])).get(address)

    async def reasons(self, addresses: Iterable[str]) -> dict[str, str]:
        """Those of the addresses, as given, that are suppressed, with the reason. One round trip."""
        asked = list(addresses)
        if not asked:
            return {}
        with self._errors():
            call: Any = self._client.hmget(self._reasons, [comparable(address) for address in asked])
            found = await call
        return {
            address: reason.decode()
            for address, reason in zip(asked, found, strict=True)
            if reason is not None
        }

    async def remove(self, address: str) -> bool:
        """Allow mail to `address` again. False if it was not in the list. One round trip."""
        member = comparable(address)
        with self._errors():
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hdel(self._reasons, member)
                pipe.zrem(self._order, member)
                removed, _ = await pipe.execute()
        return bool(removed)

    async def list(self, *, start: int = 0, count: int = PAGE) -> Page:
        """Entries from number `start` (0 is the newest), at most `count` of them. Two round trips.

        Raises InvalidInput for a negative start, or a count outside 1 to 1,000.
        """
        if start < 0 or not 1 <= count <= PAGE_LIMIT:
            raise InvalidInput(f"A page starts at 0 or later and has 1 to {PAGE_LIMIT:,} entries.")
        with self._errors():
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.zrevrange(self._order, start, start + count - 1, withscores=True)
                pipe.zcard(self._order)
                rows, total = await pipe.execute()
            call: Any = self._client.hmget(self._reasons, [member for member, _ in rows]) if rows else None
            reasons = await call if call is not None else []
        return Page(
            tuple(
                Suppressed(member.decode(), reason.decode(), float(at))
                for (member, at), reason in zip(rows, reasons, strict=True)
                if reason is not None  # removed between the two looks
            ),
            int(total),
        )

    @property
    def _client(self) -> aioredis.Redis:
        return shared_client(self._address)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            raise as_corral_error(error, "the suppression list") from error
