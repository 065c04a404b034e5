"""Telling from memory: what no ledger can hold, because Redis is away, and reminders to channels that forget.

Guarantees: in the background, so that a channel that hangs holds up nobody; to each channel in order, so that
no end comes before its beginning.

Emits: alert_not_sent, alert_given_up (as `sending`), alert_reminder_not_sent (warning; channel, reason).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

import structlog

from corral.observe.alerts.channels.channel import Channel, Reminded
from corral.observe.alerts.ledger import LONGEST_WAIT, TRY_WAITS
from corral.observe.alerts.notice import Notice
from corral.observe.alerts.sending import TRY_SECONDS, attempt, report
from corral.providers.errors import ProviderError

log = structlog.get_logger(__name__)


class Telling:
    """Tells all channels, in tasks of its own."""

    def __init__(self, channels: Iterable[Channel]) -> None:
        self._channels = list(channels)
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # a lock serves in order
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def has_forgetful(self) -> bool:
        """Whether a channel wants reminders."""
        return any(isinstance(channel, Reminded) for channel in self._channels)

    def tell(self, notice: Notice) -> None:
        """Tell every channel, with all its tries."""
        for channel in self._channels:
            self._start(self._insist(channel, notice))

    def remind(self, firing: Sequence[Notice]) -> None:
        """Say what still fires to the channels that forget. Tried once: the next reminder comes soon."""
        for channel in self._channels:
            if isinstance(channel, Reminded):
                self._start(_remind(channel, firing))

    async def end(self) -> None:
        """Stop at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # a loop forgets tasks that nobody holds
        task.add_done_callback(self._tasks.discard)

    async def _insist(self, channel: Channel, notice: Notice) -> None:
        async with self._turns[channel.name]:
            for tries, wait in enumerate((*TRY_WAITS, None), 1):
                outcome = await attempt(channel, notice)
                if not outcome.error:
                    return
                gave_up = wait is None or not outcome.again
                report(channel.name, notice, outcome, tries=tries, gave_up=gave_up)
                if wait is None or gave_up:
                    return
                await asyncio.sleep(max(wait, min(outcome.after, LONGEST_WAIT)))


async def _remind(channel: Reminded, firing: Sequence[Notice]) -> None:
    try:
        async with asyncio.timeout(TRY_SECONDS):
            await channel.remind(firing)
    except (ProviderError, TimeoutError) as error:
        reason = error.reason if isinstance(error, ProviderError) else "no answer"
        log.warning("alert_reminder_not_sent", channel=channel.name, reason=reason)
