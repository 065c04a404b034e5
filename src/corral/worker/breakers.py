"""Breakers in a worker process: what it knows of them, and who opens, tries and closes them.

A `Board` is the breakers of one server and prefix. It asks Redis nothing as long as all calls succeed, but
for one look every IDLE_SECONDS; while a breaker is open or lets jobs go, one look a second. Each look also
does what is due: any worker may send the probe, and let go held jobs; a change is written only over the state
it was made from, so that one of them does it.

Limits: another process may learn up to IDLE_SECONDS late that a breaker opened, and sends a request in vain.
If Redis cannot be told that a provider refused us, the job is put back for a minute instead of being held.

Options: the CORRAL_BREAKER_… settings.
Emits: breaker_probe (breaker, job, failed), breaker_released (breaker, jobs, left), breaker_not_reached
(warning; breaker, error), breaker_watch_broke (error). Openings and closings: see `changing_breakers`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import replace

import redis.asyncio as aioredis
import structlog
from redis.exceptions import RedisError

from corral import breaker as rules_of
from corral.breaker import Breaker, Cause, Hold, Rules, Streak
from corral.bullmq import breaking
from corral.bullmq.breaking import Seen
from corral.changing_breakers import Decide, change
from corral.errors import RedisUnavailable
from corral.gate import Verdict

log = structlog.get_logger(__name__)

#: Between two looks while no breaker is open, and while one is.
IDLE_SECONDS = 5.0
BUSY_SECONDS = 1.0

#: Once Redis could not be told, nobody tries for so long: a server that hangs costs each who does a time-out.
DEAF_SECONDS = 1.0

_AWAY = (RedisError, OSError, TimeoutError)


class Board:
    """The breakers of one prefix, as one process sees them. A job is named `queue:id`."""

    def __init__(self, client: aioredis.Redis, prefix: str, rules: Rules) -> None:
        self.prefix = prefix
        self.rules = rules
        self._client = client
        self._open: dict[str, Breaker] = {}
        #: Jobs that run here and were held before; those that are probes among them.
        self._holds: dict[str, Hold] = {}
        self._overdue: set[str] = set()
        self._streaks: dict[str, Streak] = {}
        self._opening = asyncio.Lock()
        self._wake = asyncio.Event()
        self._tidied: dict[str, int] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._deaf_until = 0.0
        #: Open or holding jobs, at the last look.
        self.seen: dict[str, Seen] = {}

    # Jobs that were held

    def starting(self, job: str, field: bytes, now: float) -> None:
        """A job starts that was held. `now`: the server's epoch seconds."""
        hold = rules_of.read_hold(field)
        if hold is None:
            return
        known = self._open.get(hold.breaker)
        if hold.mark == "released" and known is not None and known.opening <= hold.opening:
            del self._open[hold.breaker]  # it brings the news that the breaker has closed
        self._holds[job] = hold
        if hold.left(now, self.rules) <= 0:
            self._overdue.add(job)
        if hold.mark == "probe":
            renew_providers()

    def ended(self, job: str, *, completed: bool) -> None:
        """It ended. A probe that completed without a word of its provider says that all is well."""
        hold = self._holds.pop(job, None)
        self._overdue.discard(job)
        if hold is not None and hold.mark == "probe" and completed:
            # Beside it: the slot is wanted for the next job.
            telling = asyncio.create_task(self._succeed(hold))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    def _probe(self, name: str, job: str) -> str:
        """The probe of a breaker that the caller is, or ""; a caller that is no job (a batch) may be any."""
        if not self._holds:
            return ""
        for probe, hold in ((job, self._holds.get(job)),) if job else self._holds.items():
            if hold is not None and hold.mark == "probe" and hold.breaker == name:
                return probe
        return ""

    # Calls of providers

    def blocks(self, name: str, job: str) -> Verdict | None:
        breaker = self._open.get(name)
        if breaker is None or (breaker.cause != "operator" and self._probe(name, job)):
            return None
        return self._verdict(breaker, job)

    async def answered(self, name: str, job: str) -> None:
        if self._streaks:
            self._streaks.pop(name, None)
        probe = self._probe(name, job)
        if probe:
            hold = self._holds[probe]
            self._holds[probe] = replace(hold, mark="")
            await self._succeed(hold)

    async def failed(self, name: str, reason: str, job: str, *, counts: bool) -> Verdict | None:
        probe = self._probe(name, job)
        if probe:
            return await self.open(name, "failures", reason, probe)
        if counts and self.rules.failures and name not in self._open:
            now = asyncio.get_running_loop().time()
            streak = self._streaks[name] = rules_of.another_failure(self._streaks.get(name), now, self.rules)
            if streak.count >= self.rules.failures:
                del self._streaks[name]
                await self.open(name, "failures", reason, job)
        return None

    async def open(self, name: str, cause: Cause, reason: str, job: str) -> Verdict | None:
        """Open a breaker, or learn that it is open; for its probe: back to open. None: Redis is not there."""
        job = self._probe(name, job) or job
        async with self._opening:
            known = self._open.get(name)
            if asyncio.get_running_loop().time() < self._deaf_until:
                pass  # those who wait here would each wait for a time-out of their own
            elif known is None or self._probe(name, job):
                known = await self._change(
                    name, lambda seen: rules_of.opened(seen.breaker, cause, reason, job, seen.now, self.rules)
                )
        if job in self._holds:
            self._holds[job] = replace(self._holds[job], mark="")  # it was the probe and has said it
        return None if known is None else self._verdict(known, job)

    def _verdict(self, breaker: Breaker, job: str) -> Verdict:
        hold = self._holds.get(job) if job in self._overdue else None
        last = hold is not None and (hold.breaker, hold.opening) == (breaker.name, breaker.opening)
        return Verdict(breaker.reason, breaker.opening, last)

    async def _succeed(self, hold: Hold) -> None:
        await self._change(
            hold.breaker,
            lambda seen: rules_of.succeeded(seen.breaker, hold.opening, seen.now, self.rules),
        )

    # Changing

    async def _change(self, name: str, decide: Decide) -> Breaker | None:
        """Change a breaker as `decide` says of what Redis has. Returns it as it is then; None: no Redis."""
        try:
            breaker = (await change(self._client, self.prefix, name, decide)).breaker
        except (*_AWAY, RedisUnavailable) as error:
            log.warning("breaker_not_reached", breaker=name, error=type(error).__name__)
            self._deaf_until = asyncio.get_running_loop().time() + DEAF_SECONDS
            return None
        self._note(breaker)
        return breaker

    def _note(self, breaker: Breaker) -> None:
        if not breaker.is_open:
            self._open.pop(breaker.name, None)
            return
        if breaker.name not in self._open:
            renew_providers()
            self._wake.set()
        self._open[breaker.name] = breaker

    async def close(self) -> None:
        """Let what is under way end."""
        await asyncio.gather(*self._telling, return_exceptions=True)

    # Looking

    async def watch(self) -> None:
        """Look after the breakers, until cancelled."""
        while True:
            try:
                busy = await self._look()
            except _AWAY:
                busy = bool(self._open)
            except Exception:  # a fault of ours must not end the watch: held jobs would wait for their limit
                log.exception("breaker_watch_broke")
                busy = True
            wait = min(BUSY_SECONDS, self.rules.probe_seconds) if busy else IDLE_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            self._wake.clear()

    async def _look(self) -> bool:
        names = await breaking.live(self._client, self.prefix)
        found = await breaking.look(self._client, self.prefix, names)
        for name in self._open.keys() - set(names):
            del self._open[name]
        self.seen = {seen.breaker.name: seen for seen in found}
        for seen in found:
            self._note(seen.breaker)
            await self._act(seen)
        return bool(names)

    async def _act(self, seen: Seen) -> None:
        """Do what is due for one breaker."""
        client, prefix, breaker, now = self._client, self.prefix, seen.breaker, seen.now
        if breaker.probe:
            if now >= breaker.probe_until or await breaking.probe_left(client, prefix, breaker.probe):
                after = rules_of.probe_over(breaker, now, self.rules)
                if after is not None and (await breaking.change(client, prefix, breaker, after, 0)).done:
                    self._note(after)
            return
        await self._tidy(breaker.name)
        probe = rules_of.probing(breaker, seen.held, now)
        if probe is not None:
            changed = await breaking.change(client, prefix, breaker, probe, 1)
            if changed.probe:
                self._note(replace(probe, probe=changed.probe))
                log.info(
                    "breaker_probe", breaker=breaker.name, job=changed.probe, failed=breaker.failed_probes
                )
            return
        going = rules_of.releasing(breaker, seen.held, now)
        if going is not None:
            after, count = going
            changed = await breaking.change(client, prefix, breaker, after, count)
            if changed.released:
                left = seen.held - changed.released - changed.dropped
                log.info("breaker_released", breaker=breaker.name, jobs=changed.released, left=left)
        elif not breaker.is_open and not seen.held:  # nothing is left to look after
            await breaking.change(client, prefix, breaker, replace(breaker, version=breaker.version + 1), 0)

    async def _tidy(self, name: str) -> None:
        start = self._tidied.get(name, 0)
        looked, dropped = await breaking.tidy(self._client, self.prefix, name, start=start)
        self._tidied[name] = 0 if looked < breaking.TIDY else start + looked - dropped


def renew_providers() -> None:
    """Have the providers of this loop read their settings again: a key may have been changed.

    Only if a handler has used them: a worker of somebody's own queues never loads them.
    """
    loaded = sys.modules.get("corral.providers")
    if loaded is not None:
        loaded.renew_providers()
