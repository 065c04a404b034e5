"""How a worker's work ends: stopped, with a grace time, or drained, without one.

One of it for each `Worker`, and one `run` of that at a time. Wishes may come before the run and count then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from corral.worker.feed import Feed

log = structlog.get_logger(__name__)

#: What Redis gets, after the grace time, to take jobs back; without it their locks run out by themselves.
PUT_BACK_SECONDS = 5.0


class Stopping:
    """`worker`: its name, for the log."""

    def __init__(self, worker: str) -> None:
        self.stopped = False
        self.drained = False
        #: A run has begun.
        self.begun = False
        self._worker = worker
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._drain = asyncio.Event()

    def begin(self) -> None:
        """A run begins: events of the loop that it runs in."""
        self.begun = True
        self._stop, self._hurry, self._drain = asyncio.Event(), asyncio.Event(), asyncio.Event()
        if self.stopped:
            self._stop.set()
        if self.drained:
            self._drain.set()

    def stop(self) -> None:
        """Stop gracefully; called again, end the grace time."""
        self.stopped = True
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def drain(self) -> None:
        """End when what runs has ended."""
        self.drained = True
        self._drain.set()

    @property
    def wanted(self) -> bool:
        """Somebody asked for the end."""
        return self.stopped or self.drained

    async def serve(
        self, feeds: Sequence[Feed], tasks: Sequence[asyncio.Task[None]], grace_seconds: float
    ) -> None:
        """Return when the feeds, whose runs are `tasks`, have ended: by themselves, drained, or stopped."""
        everything: asyncio.Future[Any] = asyncio.gather(*tasks)
        # Looked at below, or cut off: then nobody else would, and asyncio would say so in the log.
        everything.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        stop: asyncio.Future[Any] = asyncio.create_task(self._stop.wait())
        drain: asyncio.Future[Any] = asyncio.create_task(self._drain.wait())
        try:
            await asyncio.wait([everything, stop, drain], return_when=asyncio.FIRST_COMPLETED)
            if drain.done() and not stop.done() and not everything.done():
                self._take_nothing_new("worker_draining", feeds)
                await asyncio.wait([everything, stop], return_when=asyncio.FIRST_COMPLETED)
            if everything.done():
                everything.result()
                return
            self._take_nothing_new("worker_stopping", feeds)
            hurry: asyncio.Future[Any] = asyncio.create_task(self._hurry.wait())
            await asyncio.wait(
                [everything, hurry], timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            hurry.cancel()
            if not everything.done():
                put_back = sum(feed.put_back_running() for feed in feeds)
                log.warning("grace_time_over", worker=self._worker, put_back=put_back)
                await asyncio.wait([everything], timeout=PUT_BACK_SECONDS)
        finally:
            stop.cancel()
            drain.cancel()

    def _take_nothing_new(self, event: str, feeds: Sequence[Feed]) -> None:
        log.info(event, worker=self._worker, running=sum(feed.running for feed in feeds))
        for feed in feeds:
            feed.stop()
