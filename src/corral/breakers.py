"""The breakers of the providers, for who looks at them and repairs: list, resume, hold, and what they hold.

All are of one server and prefix, and hold for all queues there. Nobody needs this for a breaker to work:
workers open, try and close them (`worker/breakers.py`). docs/engine/breakers.md tells the whole story.

Emits: what `changing_breakers` does.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from corral import breaker as rules_of
from corral.breaker import Rules
from corral.bullmq import breaking
from corral.bullmq.breaking import Seen
from corral.bullmq.connection import Address, shared_client
from corral.bullmq.failures import as_corral_error
from corral.changing_breakers import Decide, change
from corral.errors import InvalidInput
from corral.settings import Settings

#: Held jobs read in one round trip.
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    """One breaker. Times are epoch seconds.

    cause: what it opened for, last: configuration, failures or operator; "" if it never opened.
    since: from when on it is in this state. job: who met it first, `queue:id`, or "".
    held: jobs that wait for it. next_probe: when one of them is tried; None: nobody will be.
    """

    name: str
    state: Literal["closed", "open", "half-open"]
    since: float | None
    cause: str
    reason: str
    job: str
    held: int
    failed_probes: int
    next_probe: float | None
    rate: float


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that a breaker holds: in `delayed`, for BullMQ and `queue.counts()`."""

    breaker: str
    queue: str
    id: str


class Breakers:
    """The breakers on one server under one prefix; default REDIS_URL and CORRAL_PREFIX.

    Every method raises RedisUnavailable.
    """

    def __init__(self, redis_url: str | None = None, prefix: str | None = None) -> None:
        self._redis_url = redis_url
        self._prefix = prefix

    async def all(self) -> list[BreakerStatus]:
        """All that ever opened, by name; their counts are exact. A round trip for each 1,000 held jobs."""
        with self._redis_errors():
            names = await breaking.known(self._client, self.prefix)
            for name in names:
                await self._tidy(name)
            return [_status(seen) for seen in await breaking.look(self._client, self.prefix, names)]

    async def get(self, name: str) -> BreakerStatus:
        """One breaker; one that never opened is closed."""
        _check_name(name)
        with self._redis_errors():
            await self._tidy(name)
            return _status((await breaking.look(self._client, self.prefix, [name]))[0])

    async def resume(self, name: str, *, rate: float | None = None) -> BreakerStatus:
        """Close a breaker now: its held jobs run again, `rate` a second over all workers.

        Without a rate CORRAL_BREAKER_RATE holds.

        For one that lets jobs go already, another pace. Raises InvalidInput for a rate that is not above 0.
        """
        if rate is not None and not 0 < rate < float("inf"):
            raise InvalidInput(f"rate={rate}: jobs a second, above 0.")
        pace = Settings.load().breaker_rate if rate is None else rate
        return await self._change(name, lambda seen: rules_of.closed(seen.breaker, seen.now, pace))

    async def hold(self, name: str, reason: str) -> BreakerStatus:
        """Open a breaker by hand: all jobs that need it are held until `resume`. It sends no probes."""
        tidy = " ".join(reason.split())
        if not tidy:
            raise InvalidInput("Say why: the reason is what others see of it.")
        rules = Rules.of(Settings.load())
        return await self._change(
            name, lambda seen: rules_of.opened(seen.breaker, "operator", tidy, "", seen.now, rules)
        )

    async def held(self, name: str, start: int = 0, count: int = 100) -> list[HeldJob]:
        """Jobs that a breaker holds, those whose hold ends first from `start` on. One round trip."""
        _check_name(name)
        with self._redis_errors():
            rows = await breaking.held_jobs(self._client, self.prefix, name, start, count)
        return [HeldJob(name, queue, job_id) for queue, job_id in rows]

    async def held_by_queue(self) -> dict[str, int]:
        """How many jobs of each queue are held. A round trip for each 1,000 of them.

        `queue.counts()` has them among the delayed ones: what scales workers takes them off.
        """
        counts: Counter[str] = Counter()
        with self._redis_errors():
            for name in await breaking.live(self._client, self.prefix):
                await self._tidy(name)
                start = 0
                while rows := await breaking.held_jobs(self._client, self.prefix, name, start, PAGE):
                    counts.update(queue for queue, _ in rows)
                    start += len(rows)
        return dict(counts)

    # Inside

    @property
    def prefix(self) -> str:
        return self._prefix or Settings.load().prefix

    @property
    def _client(self) -> aioredis.Redis:
        return shared_client(Address.resolve(self._redis_url, prefix=self.prefix))

    async def _tidy(self, name: str) -> None:
        start = 0
        while True:
            looked, dropped = await breaking.tidy(self._client, self.prefix, name, start=start)
            if looked < breaking.TIDY:
                return
            start += looked - dropped

    async def _change(self, name: str, decide: Decide) -> BreakerStatus:
        _check_name(name)
        with self._redis_errors():
            return _status(await change(self._client, self.prefix, name, decide))

    @contextlib.contextmanager
    def _redis_errors(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            raise as_corral_error(error, "breakers") from error


def _status(seen: Seen) -> BreakerStatus:
    breaker = seen.breaker
    tries = breaker.state == "open" and breaker.cause != "operator"
    return BreakerStatus(
        name=breaker.name,
        state=breaker.state,
        since=breaker.since or None,
        cause=breaker.cause if breaker.opening else "",
        reason=breaker.reason,
        job=breaker.job,
        held=seen.held,
        failed_probes=breaker.failed_probes,
        next_probe=breaker.next_probe if tries else None,
        rate=breaker.rate,
    )


def _check_name(name: str) -> None:
    if not name or ":" in name or any(c.isspace() for c in name):
        raise InvalidInput(f"{name!r} cannot name a breaker: no colon, no white space.")
