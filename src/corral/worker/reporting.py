"""Reporting: what a worker process says of itself and has counted, for those who look on.

Every BEAT_SECONDS its beat goes to the registry, which forgets a worker that has not been heard for
GONE_SECONDS: one that was killed, whose Redis is away, or whose event loop stands still. At its end a worker
takes itself out. With the beat goes what was counted since the last one; at a graceful stop nothing of it is
lost, of a process that is killed up to BEAT_SECONDS of it. Who reads it all: `observe.stand`, `stats`.

Costs two round trips a beat and server. Emits: report_failed (warning; worker, error), release_noted (worker,
release): the first worker of this release here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Sequence
from heapq import nsmallest
from itertools import count

import msgspec
import redis.asyncio as aioredis
import structlog
from redis.exceptions import RedisError

from corral.bullmq import objectives, registry, statistics
from corral.bullmq.clock import server_ms, server_seconds
from corral.bullmq.failures import code
from corral.bullmq.ordering import Wish
from corral.observe.loop_lag import LoopLag
from corral.observe.process_use import ProcessUse
from corral.observe.standing import RunningJob, WorkerStanding
from corral.worker.counting import Counting
from corral.worker.done import DoneMeter
from corral.worker.feed import Feed
from corral.worker.orders import Orders

log = structlog.get_logger(__name__)

BEAT_SECONDS = 5.0

#: Three beats may get lost. Below the 30 s within which a killed worker has to be gone.
GONE_SECONDS = 20.0

#: Running jobs that a beat tells, those that run longest.
MOST_JOBS = 20

_encode = msgspec.json.Encoder().encode
_names: set[str] = set()


class Reporter:
    """Reports one worker to one server and prefix. `feeds`: those of its queues there, as they are now.

    replaces: in whose place it runs, and why.
    """

    def __init__(
        self,
        worker: str,
        version: str,
        client: aioredis.Redis,
        prefix: str,
        feeds: Callable[[], Sequence[Feed]],
        counting: Counting,
        lag: LoopLag,
        replaces: str = "",
    ) -> None:
        self.name = _own_name(worker)
        self._version = version
        self._client = client
        self._prefix = prefix
        self._feeds = feeds
        self._counting = counting
        # Unlike its name, no other process ever has it.
        self._writer = f"{self.name}:{os.urandom(4).hex()}"
        self._use: ProcessUse | None = None
        self._task: asyncio.Task[None] | None = None
        self._started_at = 0.0
        self._lag = lag
        self._replaces = replaces
        self._done_meter = DoneMeter()

    def orders(self, obey: Callable[[Wish], None]) -> Orders:
        """What is told to the worker under the name and start that its beats tell."""
        return Orders(self._client, self._prefix, self.name, lambda: self._started_at, obey)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Until cancelled. Redis may go away and come back."""
        failing = False
        while True:
            try:
                await self._beat()
                await self._write()
                failing = False
            except (RedisError, OSError, TimeoutError) as error:
                if not failing:
                    log.warning("report_failed", worker=self.name, error=code(error))
                failing = True
            except Exception:  # a fault of ours must not end the reports: the worker would look dead
                log.exception("report_broke", worker=self.name)
            await asyncio.sleep(BEAT_SECONDS)

    async def leave(self) -> None:
        """The worker has ended: say the rest."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        _names.discard(self.name)
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            await self._write()  # what was not answered before the end, perhaps
            await self._write()
            await registry.remove_worker(self._client, self._prefix, self.name)

    async def _write(self) -> None:
        counting = self._counting
        batch = counting.batch()
        await statistics.write(self._client, self._prefix, self._writer, counting.number, batch)
        counting.answered()

    async def _beat(self) -> None:
        if self._use is None:
            self._use = await asyncio.to_thread(ProcessUse)
        memory, processor = await asyncio.to_thread(self._use.measure)
        done = self._counting.done
        per_second = self._done_meter.note(time.monotonic(), done)
        now = await server_seconds(self._client)
        if not self._started_at:
            self._started_at = now
            await self._note_release()
            await self._note_objectives()
        feeds = self._feeds()
        standing = WorkerStanding(
            name=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=self._version,
            queues=tuple(feed.queue.name for feed in feeds),
            slots=sum(feed.limit for feed in feeds),
            busy=sum(feed.running for feed in feeds),
            jobs=tuple(nsmallest(MOST_JOBS, _running(feeds), key=lambda job: job.started_at)),
            memory_bytes=memory,
            cpu_percent=round(processor, 1),
            loop_lag_seconds=round(self._lag.longest(), 3),
            started_at=self._started_at,
            beat_at=now,
            quiet=all(feed.stopping for feed in feeds),
            places={feed.queue.name: (feed.limit, feed.running) for feed in feeds},
            replaces=self._replaces,
            done=done,
            done_per_second=None if per_second is None else round(per_second, 2),
        )
        await registry.write_beat(
            self._client, self._prefix, self.name, _encode(standing), seconds=GONE_SECONDS
        )

    async def _note_release(self) -> None:
        now_ms = await server_ms(self._client)
        if await statistics.note_release(self._client, self._prefix, self._version, now_ms):
            log.info("release_noted", worker=self.name, release=self._version)

    async def _note_objectives(self) -> None:
        """Once, at the start: those who look on do not know the code."""
        declared = {feed.queue.name: feed.queue.objective for feed in self._feeds()}
        if declared:
            await objectives.note(self._client, self._prefix, declared)


def _running(feeds: Sequence[Feed]) -> list[RunningJob]:
    return [
        RunningJob(
            queue=feed.queue.name, id=job_id, name=name.decode(errors="replace"), started_at=since_ms / 1000
        )
        for feed in feeds
        for job_id, name, since_ms in feed.running_jobs()
    ]


def _own_name(worker: str) -> str:
    """A name that no other worker has: several processes may run one that was given a name in code."""
    host, pid = socket.gethostname(), os.getpid()
    base = worker if worker == f"{host}-{pid}" else f"{worker}@{host}-{pid}"
    name = next(name for n in count(1) if (name := base if n == 1 else f"{base}-{n}") not in _names)
    _names.add(name)
    return name
