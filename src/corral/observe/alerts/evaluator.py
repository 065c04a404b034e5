"""The evaluator: looks at how everything stands, decides, remembers, sends. One of many processes does it.

What it read it shows to the depth history, too: nobody reads all queues a second time for that.

Every process that has one tries to lead (`leadership`); the others stand by and take over within 30 s.
Nothing ends it but its stop: what fails is logged, and tried again at the next turn.

Options: CORRAL_ALERT_SECONDS between looks, CORRAL_ALERT_RULES, CORRAL_ALERT_TO and the channels' own.
Emits: alerts_not_evaluated (error; error, when it begins), alerts_evaluated_again (info), and what
`leadership`, `sending` and `telling` do.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Sequence

import redis.asyncio as aioredis
import structlog
from redis.exceptions import RedisError

from corral.bullmq.failures import code, is_outage, is_refusal
from corral.errors import CorralError
from corral.observe.alerts.channels.channel import Channel
from corral.observe.alerts.leadership import Leadership
from corral.observe.alerts.ledger import Ledger, looked, without_strangers
from corral.observe.alerts.machine import read_all, step, still_firing
from corral.observe.alerts.notice import Notice
from corral.observe.alerts.outage import Outage
from corral.observe.alerts.rulebook import RuleBook
from corral.observe.alerts.sending import Sending
from corral.observe.alerts.telling import Telling
from corral.observe.depth import DepthRecorder
from corral.observe.standing import Standing
from corral.policy import Objective

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
    seconds: between looks. expects_redis: False tells of no outage before Redis answered once.
    objective: of the queues that declare none.
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
        expects_redis: bool = True,
        objective: Objective | None = None,
    ) -> None:
        self._read = read
        self._channels = {channel.name: channel for channel in channels}
        self._book = book
        self._seconds = seconds
        self._leadership = Leadership(client, prefix)
        self._depths = DepthRecorder(client, prefix, objective)
        self._wake = asyncio.Event()
        self._sending = Sending(self._leadership, self._channels, self._wake.set)
        self._outage = Outage(book, socket.gethostname(), expected=expects_redis)
        self._telling = Telling(channels)
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
                # Not wait_for: before Python 3.12 it may swallow the cancellation that ends this.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause()):
                        await self._wake.wait()
        finally:
            await self._end()

    async def _turn(self) -> None:
        try:
            leads = await self._leadership.hold()
        except (RedisError, OSError) as error:
            if is_outage(error) and not is_refusal(error):
                self._tell(self._outage.failed(time.time(), self._leadership.silences))
                self._remind()
            raise
        self._tell(self._outage.answered(time.time()))
        if not leads:
            self._look_at = 0.0  # if it comes to lead, it looks at once
            self._failing = False
            return
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + self._seconds
            async with asyncio.timeout(LOOK_SECONDS):
                await self._look()
        await self._sending.send_due()
        self._remind()
        if self._failing:
            self._failing = False
            log.info("alerts_evaluated_again")

    async def _look(self) -> None:
        standing = await self._read()
        ledger = self._leadership.ledger
        if ledger is None:
            return
        result = step(
            ledger.alerts,
            read_all(standing, self._book),
            self._book,
            self._leadership.silences,
            now=standing.at,
            last=ledger.at,
            in_hand=self._leadership.acknowledged,
        )

        def after(before: Ledger) -> Ledger:
            known = without_strangers(before, self._channels)
            return looked(known, result, self._channels, standing.at)

        if await self._leadership.change(after, result.events):
            await self._depths.look(standing)

    def _remind(self) -> None:
        """Tell the channels that forget what still fires."""
        if not self._telling.has_forgetful or time.monotonic() < self._remind_at:
            return
        self._remind_at = time.monotonic() + REMIND_SECONDS
        ledger = self._leadership.ledger
        firing = [] if ledger is None else still_firing(ledger.alerts, self._book, self._leadership.now())
        away = self._outage.still(time.time())
        self._telling.remind([*firing, away] if away else firing)

    def _tell(self, notice: Notice | None) -> None:
        if notice is not None:
            self._telling.tell(notice)

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
        await self._telling.end()
        await self._leadership.release()
        for channel in self._channels.values():
            await channel.close()
