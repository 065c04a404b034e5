"""What is said to running workers: cancel this job, go quiet, stop. One pub/sub connection for each server.

A message says only that a job's field or an order changed; that is read before anything is done. Messages
can be lost with their connection, so after each subscription the orders and the fields of all jobs that run
here are looked at.
A message may also be faster than the answer that brings its job here: it is remembered for a while.

Emits: control_lost (error), control_back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from redis.exceptions import RedisError

from corral.bullmq import cancel, ordering
from corral.bullmq.connection import COMMAND_TIMEOUT_SECONDS, Address, blocking_client, shared_client
from corral.bullmq.keys import control_channel
from corral.errors import JobCancelled
from corral.worker.feed import Feed
from corral.worker.orders import Orders
from corral.worker.outage import pause

log = structlog.get_logger(__name__)

#: A connection that was silent for so long is asked whether it is there; silent for twice as long, it is not.
PING_SECONDS = 5.0

#: How often a job that was not here yet is looked for, and for how long: no answer takes longer to come.
AGAIN_SECONDS = 0.05
REMEMBER_SECONDS = COMMAND_TIMEOUT_SECONDS + 1.0

#: Fields read in one round trip.
CHUNK = 1_000

_LOST = (RedisError, OSError, TimeoutError)


class Control:
    """Listens for one server's queues of a worker. `run` it beside their feeds."""

    def __init__(
        self, address: Address, feeds: Iterable[Feed], worker: str, orders: Sequence[Orders] = ()
    ) -> None:
        self._feeds = {(control_channel(feed.locks.keys.prefix), feed.queue.name): feed for feed in feeds}
        self._channels = {channel for channel, _ in self._feeds}
        self._client = shared_client(address)
        # Not a name that BullMQ's getWorkers() takes for a worker's.
        self._listening = blocking_client(address, f"corral:control:{worker}")
        self._loop = asyncio.get_running_loop()
        self._wanted: dict[tuple[Feed, str], float] = {}
        self._orders = {(control_channel(each.prefix), each.name): each for each in orders}
        self._called: set[Orders] = set()

    async def run(self) -> None:
        """Until cancelled. Redis may go away and come back."""
        failures = 0
        try:
            while True:
                pubsub = self._listening.pubsub()
                try:
                    await self._subscribe(pubsub)
                    if failures:
                        log.info("control_back")
                    failures = 0
                    await self._listen(pubsub)
                except _LOST as error:
                    if not failures:
                        log.warning("control_lost", error=type(error).__name__)
                    await asyncio.sleep(pause(failures))
                    failures += 1
                except Exception:  # a fault of ours must not end the listening
                    log.exception("control_broke")
                    await asyncio.sleep(pause(failures))
                    failures += 1
                finally:
                    with contextlib.suppress(*_LOST):
                        await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py's
        finally:
            with contextlib.suppress(*_LOST):
                await self._listening.aclose()

    async def _subscribe(self, pubsub: Any) -> None:
        async with asyncio.timeout(PING_SECONDS):
            await pubsub.subscribe(*self._channels)
            for _ in self._channels:
                while (await pubsub.get_message(timeout=None))["type"] != "subscribe":
                    pass
        for orders in self._orders.values():
            await orders.look()
        for feed in self._feeds.values():
            held = list(feed.locks.held)
            for start in range(0, len(held), CHUNK):
                await self._stop(feed, held[start : start + CHUNK])

    async def _listen(self, pubsub: Any) -> None:
        heard, asked = self._loop.time(), False
        while True:
            message = await pubsub.get_message(timeout=AGAIN_SECONDS if self._wanted else PING_SECONDS)
            now = self._loop.time()
            if message is not None:
                heard, asked = now, False
                if message["type"] == "message":
                    self._note(message)
            elif now - heard > 2 * PING_SECONDS:
                raise TimeoutError
            elif now - heard >= PING_SECONDS and not asked:
                await pubsub.ping()
                asked = True
            while self._called:
                await self._called.pop().look()
            if self._wanted:
                await self._look()

    def _note(self, message: dict[str, Any]) -> None:
        channel = message["channel"].decode()
        called = ordering.read_call(message["data"])
        if called is not None:
            if orders := self._orders.get((channel, called)):
                self._called.add(orders)
            return
        said = cancel.read_message(message["data"])
        feed = said and self._feeds.get((channel, said.queue))
        if said and feed:
            self._wanted[feed, said.cancel] = self._loop.time() + REMEMBER_SECONDS

    async def _look(self) -> None:
        now = self._loop.time()
        here: dict[Feed, list[str]] = {}
        for (feed, job_id), until in list(self._wanted.items()):
            if job_id in feed.locks.held:
                here.setdefault(feed, []).append(job_id)
            elif now > until:
                del self._wanted[feed, job_id]
        for feed, job_ids in here.items():
            await self._stop(feed, job_ids)

    async def _stop(self, feed: Feed, job_ids: list[str]) -> None:
        """Stop those of these jobs, which are here, that are to end."""
        held = feed.locks.held
        tokens = {job_id: held.get(job_id) for job_id in job_ids}
        reasons = await cancel.asked(self._client, feed.locks.keys, job_ids)
        for job_id in job_ids:
            reason = reasons.get(job_id)
            over = reason is None or held.get(job_id) != tokens[job_id]  # not meant, or it ended meanwhile
            if over or feed.stop_job(job_id, JobCancelled(reason)):
                self._wanted.pop((feed, job_id), None)
            else:  # it is about to start
                self._wanted.setdefault((feed, job_id), self._loop.time() + REMEMBER_SECONDS)
