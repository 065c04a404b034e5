"""The breakers of the providers, for who looks at them and repairs: list, resume, hold, and what they hold.

All are of one server and prefix, and hold for all queues there. Nobody needs this for a breaker to work:
workers open, try and close them (`worker/breakers.py`). docs/engine/breakers.md tells the whole story.

Changes are in the audit log. Emits: what `changing_breakers` does.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from corral import audit
from corral import breaker as rules_of
from corral.breaker import Rules
from corral.bullmq import breaking
from corral.bullmq.breaking import Seen
from corral.bullmq.connection import Address, shared_client
from corral.bullmq.failures import as_corral_error
from corral.changing_breakers import Decide, change
from corral.environment import read_settings
from corral.errors import InvalidInput

if TYPE_CHECKING:
    from corral.settings import Settings

#: Held jobs read in one round trip.
PAGE = 1_000

#: Held jobs that one page of a queue is looked for among: some 20 ms.
MOST_LOOKED_AT = 20_000


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


@dataclass(frozen=True, slots=True)
class HeldHere:
    """A job of a queue that a breaker holds. Times are epoch seconds; None: it was let go as we looked.

    since: when its hold began. until: when it runs a last time, if the breaker does not close before.
    """

    breaker: str
    id: str
    name: str
    since: float | None
    until: float | None


@dataclass(frozen=True, slots=True)
class HeldPage:
    """Some of them, and where to go on; None: that was all."""

    jobs: list[HeldHere]
    next: str | None


class Breakers:
    """The breakers on one server under one prefix; default REDIS_URL and CORRAL_PREFIX.

    actor: who changes something, for the audit log; by default who runs this process. settings: those of the
    process, if it has read them. Every method raises RedisUnavailable.
    """

    def __init__(
        self,
        redis_url: str | None = None,
        prefix: str | None = None,
        *,
        actor: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._redis_url = redis_url
        self._prefix = prefix
        self._actor = actor
        self._settings = settings

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
        pace = read_settings().breaker_rate if rate is None else rate
        return await self._change(
            name, lambda seen: rules_of.closed(seen.breaker, seen.now, pace), "breaker.resume", {"rate": pace}
        )

    async def hold(self, name: str, reason: str) -> BreakerStatus:
        """Open a breaker by hand: all jobs that need it are held until `resume`. It sends no probes."""
        tidy = " ".join(reason.split())
        if not tidy:
            raise InvalidInput("Say why: the reason is what others see of it.")
        rules = Rules.of(read_settings())
        return await self._change(
            name,
            lambda seen: rules_of.opened(seen.breaker, "operator", tidy, "", seen.now, rules),
            "breaker.hold",
            {"reason": tidy},
        )

    async def held(self, name: str, start: int = 0, count: int = 100) -> list[HeldJob]:
        """Jobs that a breaker holds, those whose hold ends first from `start` on. One round trip."""
        _check_name(name)
        with self._redis_errors():
            rows = await breaking.held_jobs(self._client, self.prefix, name, start, count)
        return [HeldJob(name, queue, job_id) for queue, job_id in rows]

    async def held_in(self, queue: str, *, after: str = "", count: int = 100) -> HeldPage:
        """Jobs of one queue that breakers hold, breaker by breaker, those whose hold ends first at the front.

        after: `next` of the page before. A page may have fewer than `count` jobs and still a next one: at
        most MOST_LOOKED_AT jobs of all queues are looked through. Jobs that are let go meanwhile shift those
        behind them, so one may be missed or come twice. A round trip for each 1,000 jobs, and two more.
        Raises InvalidInput for an `after` that is none.
        """
        first, rank = _cursor(after)
        found: list[tuple[str, str]] = []
        looked = 0
        with self._redis_errors():
            for name in await breaking.live(self._client, self.prefix):
                if name < first:
                    continue
                start = rank if name == first else 0
                if not start:
                    await self._tidy(name)
                while rows := await breaking.held_jobs(self._client, self.prefix, name, start, PAGE):
                    for rank_of_next, (of, job_id) in enumerate(rows, start + 1):
                        found += [(name, job_id)] if of == queue else []
                        if len(found) == count:
                            return await self._held_page(queue, found, f"{name}:{rank_of_next}")
                    start += len(rows)
                    looked += len(rows)
                    if looked >= MOST_LOOKED_AT:
                        return await self._held_page(queue, found, f"{name}:{start}")
            return await self._held_page(queue, found, None)

    async def _held_page(self, queue: str, found: list[tuple[str, str]], further: str | None) -> HeldPage:
        fields = await breaking.held_fields(self._client, self.prefix, queue, [job_id for _, job_id in found])
        longest = read_settings().breaker_hold_seconds
        jobs = []
        for (breaker, job_id), (job_name, field) in zip(found, fields, strict=True):
            hold = rules_of.read_hold(field)
            since = hold.since if hold else None
            jobs.append(
                HeldHere(breaker, job_id, job_name, since, since + longest if since is not None else None)
            )
        return HeldPage(jobs, further)

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
        return self._prefix or (self._settings or read_settings()).prefix

    @property
    def _client(self) -> aioredis.Redis:
        return shared_client(Address.resolve(self._redis_url, self._settings, prefix=self.prefix))

    async def _tidy(self, name: str) -> None:
        start = 0
        while True:
            looked, dropped = await breaking.tidy(self._client, self.prefix, name, start=start)
            if looked < breaking.TIDY:
                return
            start += looked - dropped

    async def _change(self, name: str, decide: Decide, action: str, facts: dict[str, Any]) -> BreakerStatus:
        """Change a breaker, and write into the audit log who did, if it was a change."""
        _check_name(name)
        decided: list[rules_of.Breaker | None] = []

        def noting(seen: Seen) -> rules_of.Breaker | None:
            decided.append(decide(seen))
            return decided[-1]

        with self._redis_errors():
            seen = await change(self._client, self.prefix, name, noting)
            if decided[-1] is not None:
                actor = self._actor or audit.local_actor()
                await audit.record(
                    self._client, self.prefix, actor, action, name, {**facts, "held": seen.held}
                )
        return _status(seen)

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


def _cursor(after: str) -> tuple[str, int]:
    """The breaker and the rank that a page ends before."""
    name, _, rank = after.rpartition(":")
    if after and not (name and rank.isdecimal() and len(rank) < 12):
        raise InvalidInput(f"after={after[:50]!r} is not `next` of a page.")
    return name, int(rank or 0)


def _check_name(name: str) -> None:
    if not name or ":" in name or any(c.isspace() for c in name):
        raise InvalidInput(f"{name!r} cannot name a breaker: no colon, no white space.")
