"""The evaluator: looks at how everything stands, decides, remembers, sends. One of many processes does it.

Every process that has one tries to lead (`leadership`); the others stand by and take over within 30 s.
Nothing ends it but its stop: what fails is logged, and tried again at the next turn.

Options: CORRAL_ALERT_SECONDS between looks, CORRAL_ALERT_RULES, CORRAL_ALERT_TO and the channels' own.
Emits: alerts_not_evaluated (error; error, when it begins), alerts_evaluated_again (info), and what
`leadership` and `sending` do.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import redis.asyncio as aioredis
import structlog
from redis.exceptions import RedisError

from corral.bullmq import alerting
from corral.bullmq.failures import code
from corral.errors import CorralError
from corral.observe.alerts.channels.channel import SEND_SECONDS, Channel, Reminded
from corral.observe.alerts.leadership import Leadership
from corral.observe.alerts.ledger import Ledger, looked, without_strangers
from corral.observe.alerts.machine import read_all, step, still_firing
from corral.observe.alerts.notice import Notice
from corral.observe.alerts.outage import Outage
from corral.observe.alerts.rulebook import RuleBook
from corral.observe.alerts.sending import Sending, insist
from corral.observe.alerts.silence import Silence
from corral.observe.alerts.storing import read_silences
from corral.observe.standing import Standing
from corral.providers.errors import ProviderError

log = structlog.get_logger(__name__)

Read = Callable[[], Awaitable[Standing]]

#: Seconds between turns at most: the lease is renewed at each, and followed up by those who stand by.
TURN_SECONDS = 5.0

#: Seconds between turns while something waits to be sent again.
SENDING_TURN_SECONDS = 1.0

#: Seconds that one look may take.
LOOK_SECONDS = 10.0

#: Seconds between reminders to channels that forget.
REMIND_SECONDS = 60.0


class Evaluator:
    """`await Evaluator(…).run()` until it is cancelled. It closes the channels at its end.

    client: of the server and prefix that are watched. read: how everything stands; raises when it cannot.
    seconds: between looks.
    """

    def __init__(
        self,
        client: Callable[[], aioredis.Redis],
        prefix: str,
        read: Read,
        channels: Sequence[Channel],
        book: RuleBook,
        *,
        seconds: float = 15.0,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._read = read
        self._channels = {channel.name: channel for channel in channels}
        self._book = book
        self._seconds = seconds
        self._leadership = Leadership(client, prefix)
        self._wake = asyncio.Event()
        self._sending = Sending(self._leadership, self._channels, self._wake.set)
        self._outage = Outage(book, socket.gethostname())
        #: What is told without Redis; kept, since a loop forgets tasks that nobody holds.
        self._locally: set[asyncio.Task[None]] = set()
        self._failing = False
        self._look_at = 0.0
        self._remind_at = 0.0

    async def run(self) -> None:
        """Take turns until cancelled."""
        try:
            while True:
                self._wake.clear()
                try:
                    await self._turn()
                except Exception as error:  # whoever is to tell of faults must outlive them
                    self._not_evaluated(error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._pause())
        finally:
            await self._end()

    async def _turn(self) -> None:
        try:
            leads = await self._leadership.hold()
        except (RedisError, OSError):
            self._tell_locally(self._outage.failed(time.time()))
            await self._remind()
            raise
        self._tell_locally(self._outage.answered(time.time()))
        if not leads:
            self._look_at = 0.0  # if it comes to lead, it looks at once
            return
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + self._seconds
            async with asyncio.timeout(LOOK_SECONDS):
                await self._look()
        await self._sending.send_due()
        await self._remind()
        if self._failing:
            self._failing = False
            log.info("alerts_evaluated_again")

    async def _look(self) -> None:
        standing = await self._read()
        silences = await self._silences()
        ledger = self._leadership.ledger
        if ledger is None:
            return
        result = step(
            ledger.alerts,
            read_all(standing, self._book),
            self._book,
            silences,
            now=standing.at,
            last=ledger.at,
        )

        def after(before: Ledger) -> Ledger:
            known = without_strangers(before, self._channels)
            return looked(known, result, self._channels, standing.at)

        await self._leadership.change(after, result.events)

    async def _silences(self) -> list[Silence]:
        _, rows = await alerting.silences(self._client(), self._prefix)
        return read_silences(rows)

    async def _remind(self) -> None:
        """Tell the channels that forget what still fires; in tasks, because they may hang."""
        reminded = [channel for channel in self._channels.values() if isinstance(channel, Reminded)]
        if not reminded or time.monotonic() < self._remind_at:
            return
        self._remind_at = time.monotonic() + REMIND_SECONDS
        ledger = self._leadership.ledger
        firing = [] if ledger is None else still_firing(ledger.alerts, self._book, self._leadership.now())
        away = self._outage.still(time.time())
        firing += [away] if away else []
        for channel in reminded:
            self._start(_remind_one(channel, firing))

    def _tell_locally(self, notice: Notice | None) -> None:
        if notice is not None:
            for channel in self._channels.values():
                self._start(insist(channel, notice))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._locally.add(task)
        task.add_done_callback(self._locally.discard)

    def _not_evaluated(self, error: Exception) -> None:
        """Say it once for each row of failures: a turn comes every few seconds."""
        if self._failing:
            return
        self._failing = True
        known = isinstance(error, RedisError | OSError | TimeoutError | CorralError)
        say = log.error if known else log.exception
        say("alerts_not_evaluated", error=code(error))

    def _pause(self) -> float:
        ledger = self._leadership.ledger
        most = SENDING_TURN_SECONDS if ledger is not None and ledger.parcels else TURN_SECONDS
        return min(most, self._seconds)

    async def _end(self) -> None:
        await self._sending.finish()
        for task in list(self._locally):
            task.cancel()
        await asyncio.gather(*self._locally, return_exceptions=True)
        await self._leadership.release()
        for channel in self._channels.values():
            await channel.close()


async def _remind_one(channel: Reminded, firing: Sequence[Notice]) -> None:
    try:
        async with asyncio.timeout(2 * SEND_SECONDS):
            await channel.remind(firing)
    except (ProviderError, TimeoutError) as error:
        reason = error.reason if isinstance(error, ProviderError) else "no answer"
        log.warning("alert_reminder_not_sent", reason=reason)
