"""Sending: each try bounded in time, a channel that fails or hangs holds up nobody else.

Guarantees: a parcel is marked as taken before it is sent, by a write that only the leader can make. It is
sent at least once, or given up after all tries; again only if the process died, or lost Redis, between the
sending and the note of it, and never more often than there are tries.

Emits: alert_not_sent (warning; channel, rule, subject, reason, tries), alert_given_up (error; the same).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

import structlog
from redis.exceptions import RedisError

from corral.bullmq.failures import code
from corral.observe.alerts.channels.channel import SEND_SECONDS, Channel
from corral.observe.alerts.leadership import Leadership
from corral.observe.alerts.ledger import Ledger, Outcome, Parcel, due, settled, taken
from corral.observe.alerts.notice import Notice
from corral.providers.errors import ProviderError, ProviderPermanent, ProviderRetryable

log = structlog.get_logger(__name__)

#: Notices under way to one channel at once: most receivers take few a second.
MOST_AT_ONCE = 5

#: Seconds for a try as a whole; the channel's own limits are narrower and say more.
TRY_SECONDS = 2 * SEND_SECONDS

#: Seconds that sends under way have when the process stops.
FAREWELL_SECONDS = 3.0


async def attempt(channel: Channel, notice: Notice) -> Outcome:
    """Try once. Raises nothing."""
    try:
        async with asyncio.timeout(TRY_SECONDS):
            await channel.send(notice)
    except TimeoutError:
        return Outcome(f"no answer within {TRY_SECONDS:g} s")
    except ProviderError as error:
        after = error.seconds if isinstance(error, ProviderRetryable) else 0.0
        return Outcome(error.reason, not isinstance(error, ProviderPermanent), after)
    except Exception as error:  # a fault of one channel must not stop the others
        log.exception("alert_channel_failed", channel=channel.name)
        return Outcome(f"a fault in Corral ({type(error).__name__})")
    return Outcome()


class Sending:
    """Sends what is due, in tasks of its own. `wake`: called when something was sent, so more may be due."""

    def __init__(
        self, leadership: Leadership, channels: Mapping[str, Channel], wake: Callable[[], None]
    ) -> None:
        self._leadership = leadership
        self._channels = channels
        self._wake = wake
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def send_due(self) -> None:
        """Mark what is due, and start sending it. One round trip, none if nothing is due."""
        ledger = self._leadership.ledger
        if ledger is None:
            return
        now = self._leadership.now()
        parcels = self._with_room(due(ledger, self._channels, now))
        ids = {parcel.id for parcel in parcels}

        def take(before: Ledger) -> Ledger:
            return taken(before, ids, now)

        if not ids or not await self._leadership.change(take):
            return
        for parcel in parcels:
            task = asyncio.create_task(self._send(parcel))
            self._under_way[parcel.id] = task
            task.add_done_callback(partial(self._ended, parcel.id))

    async def finish(self) -> None:
        """Give what is under way a moment; what does not end is another's to send."""
        tasks = list(self._under_way.values())
        if tasks:
            await asyncio.wait(tasks, timeout=FAREWELL_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _with_room(self, parcels: list[Parcel]) -> list[Parcel]:
        busy = Counter(parcel_id.partition(":")[0] for parcel_id in self._under_way)
        chosen = []
        for parcel in parcels:
            if parcel.id not in self._under_way and busy[parcel.channel] < MOST_AT_ONCE:
                busy[parcel.channel] += 1
                chosen.append(parcel)
        return chosen

    async def _send(self, parcel: Parcel) -> None:
        outcome = await attempt(self._channels[parcel.channel], parcel.notice)
        gave_up = False

        def note(before: Ledger) -> Ledger:
            nonlocal gave_up
            after, gave_up = settled(before, parcel.id, outcome, self._leadership.now())
            return after

        try:
            await self._leadership.change(note)
        except (RedisError, OSError) as error:
            log.warning("alert_state_not_written", error=code(error))
        if outcome.error:
            report(parcel.channel, parcel.notice, outcome, tries=parcel.tries + 1, gave_up=gave_up)

    def _ended(self, parcel_id: str, _: asyncio.Task[None]) -> None:
        del self._under_way[parcel_id]
        self._wake()


def report(channel: str, notice: Notice, outcome: Outcome, *, tries: int, gave_up: bool) -> None:
    """Log a try that failed."""
    say = log.error if gave_up else log.warning
    say(
        "alert_given_up" if gave_up else "alert_not_sent",
        channel=channel,
        rule=notice.rule,
        subject=notice.subject,
        reason=outcome.error,
        tries=tries,
    )
