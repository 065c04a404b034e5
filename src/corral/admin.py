"""`queue.admin`: what an operator does to a queue and its jobs.

Whatever concerns many jobs goes in steps of 250, each a few milliseconds of Redis, so that a queue of a
million jobs can be cleaned while it works. Nothing here is atomic over the whole queue. Stock BullMQ clients
see all of it: it is their layout, and their events are written.

Every method raises RedisUnavailable. A job that is not there is JobNotFound, one that is elsewhere
WrongState, the next run of a schedule BelongsToSchedule.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import redis.asyncio as aioredis

from corral.bullmq import admin as wire
from corral.bullmq import grouping, old_clients, orphans
from corral.bullmq.clock import server_ms
from corral.bullmq.codec import whole
from corral.bullmq.keys import QueueKeys
from corral.errors import InvalidInput, WrongState
from corral.job_admin import FINISHED, JobAdmin, check_number, limit_of
from corral.policy import Keep, RateLimit

Cleanable = Literal["completed", "failed", "waiting", "delayed", "prioritized", "waiting-children"]

CLEANABLE = (*FINISHED, "waiting", "delayed", "prioritized", "waiting-children")


@dataclass(frozen=True, slots=True)
class QueueMeta:
    """What Redis holds about a queue as a whole."""

    paused: bool
    #: Jobs that may run at once over all workers; None: no bound.
    concurrency: int | None
    #: Starts in a window over all workers, set on the queue itself; None: what the workers bring along.
    rate_limit: RateLimit | None
    #: About so many events are kept.
    max_events: int | None
    #: The last Node client, `bullmq:6.7.0`.
    written_by: str | None
    #: What told of a BullMQ 5 client, now or within a day: its resume can lose jobs. None: nothing did.
    old_clients: str | None


class Admin(JobAdmin):
    """Administration of one queue and, inherited, of its jobs. Cheap: `queue.admin` makes one each time."""

    __slots__ = ()

    # The queue

    async def pause(self) -> None:
        """No worker starts a job of this queue any more; running ones end. One round trip."""
        with self._queue.redis_errors():
            await wire.set_paused(self._queue.client(), self._queue.keys(), paused=True)

    async def resume(self) -> None:
        """Workers go on. Jobs that a v5 client put aside while it paused the queue wait again, first of all.

        One round trip; one for each 7,000 jobs of a v5 client.
        """
        with self._queue.redis_errors():
            await wire.set_paused(self._queue.client(), self._queue.keys(), paused=False)

    async def is_paused(self) -> bool:
        """One round trip."""
        with self._queue.redis_errors():
            return bool(await self._queue.client().hexists(self._queue.keys().meta, "paused"))

    async def meta(self) -> QueueMeta:
        """What holds for the queue as a whole. One round trip."""
        with self._queue.redis_errors():
            (meta,) = await read_metas(self._queue.client(), [self._queue.keys()])
        return meta

    async def drain(self, *, delayed: bool = False) -> int:
        """Remove what waits, with `delayed` also what is to wait. Running and finished jobs stay, and the
        next runs of schedules. Returns how many. Two round trips a list, and one for each 250 jobs; four
        for each 500 jobs of a group.
        """
        states = ["wait", "paused", "prioritized", *(["delayed"] if delayed else [])]
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            removed = sum([await wire.drain(client, keys, state) for state in states])
            for group in await grouping.names(client, keys, sys.maxsize, locks=True):
                removed += await grouping.clean(client, keys, group)
            return removed

    async def clean(self, state: Cleanable, *, older_than: float = 0, limit: int | None = None) -> int:
        """Remove jobs of a state that finished, or else were last started or added, over `older_than` seconds
        ago; at most `limit` of them. Returns how many. One round trip for each 250 jobs, three where
        the whole state has to be read (delayed, prioritized, waiting-children, what waits in groups).

        A parent whose failed child is cleaned no
        longer waits for it. The next run of a schedule stays.
        Running jobs are not cleaned: those of dead workers go back to waiting by themselves.
        Raises InvalidInput.
        """
        if state not in CLEANABLE:
            raise InvalidInput(f"clean({state!r}): choose one of {', '.join(CLEANABLE)}.")
        check_number("older_than", older_than)
        most = limit_of(limit)
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            until_ms = await _ago_ms(client, older_than)
            if state in FINISHED:
                return await self._sweep(state, until_ms=until_ms, limit=most, by_hand=True)
            if state != "waiting":
                return await wire.clean_set(client, keys, state, until_ms, most)
            removed = await wire.clean_list(client, keys, "wait", until_ms, most)
            removed += await wire.clean_list(client, keys, "paused", until_ms, most - removed)
            removed += await wire.clean_set(client, keys, "prioritized", until_ms, most - removed)
            for group in await grouping.names(client, keys, sys.maxsize, locks=True):
                left = most - removed
                removed += await grouping.clean(client, keys, group, until_ms=until_ms, limit=left)
            return removed

    async def obliterate(self, *, force: bool = False) -> None:
        """Remove the queue: every job, its events, schedules and settings, also Corral's own.

        One round trip for each 1,000 jobs, and one walk over the server's key space. Raises WrongState if
        jobs run, unless `force`: then they go on, and their ends are lost.
        """
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            paused = await self.is_paused()
            await wire.set_paused(client, keys, paused=True)
            if not await wire.obliterate(client, keys, force=force):
                if not paused:
                    await wire.set_paused(client, keys, paused=False)
                raise WrongState(
                    f"Queue {self._queue.name!r} has running jobs. Pause it and wait, or use force."
                )

    async def trim_events(self, keep: int = 0) -> int:
        """Forget all but the newest `keep` events. Returns how many went. One round trip."""
        check_number("keep", keep)
        with self._queue.redis_errors():
            client, key = self._queue.client(), self._queue.keys().events
            return int(await client.xtrim(key, maxlen=int(keep), approximate=False))

    async def remove_orphans(
        self, *, older_than: float = 3600, limit: int | None = None, dry_run: bool = False
    ) -> int:
        """Remove jobs that no state knows, added over `older_than` seconds ago. Returns how many; with
        `dry_run`, how many it would remove. Walks over the server's key space: for a quiet hour.
        """
        check_number("older_than", older_than)
        most = limit_of(limit)
        removed = 0
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            async for found in orphans.find(client, keys, await _ago_ms(client, older_than)):
                part = found[: most - removed]
                removed += len(part) if dry_run else await orphans.remove(client, keys, part)
                if removed >= most:
                    break
        return removed

    async def apply_retention(self, *, limit: int | None = None) -> dict[str, int]:
        """Remove the finished jobs that `queue.retention` no longer covers, by age and by number; at most
        `limit` of each outcome. Returns how many by outcome.

        Workers do it every minute; BullMQ only when a job finishes. One round trip for each 250 jobs and
        outcome, and as long a rest for Redis after each.
        """
        retention = self._queue.retention
        removed = {}
        with self._queue.redis_errors():
            for state, keep in (("completed", retention.completed), ("failed", retention.failed)):
                removed[state] = await self._apply(state, keep, limit_of(limit))
        return removed

    async def _apply(self, state: str, keep: Keep, limit: int) -> int:
        if keep.age is None and keep.count is None:
            return 0
        until_ms = -1 if keep.age is None else await _ago_ms(self._queue.client(), keep.age)
        count = -1 if keep.count is None else keep.count
        return await self._sweep(state, until_ms=until_ms, keep=count, limit=limit, polite=True)

    async def _sweep(
        self,
        state: str,
        *,
        until_ms: int,
        limit: int,
        keep: int = -1,
        by_hand: bool = False,
        polite: bool = False,
    ) -> int:
        client, keys = self._queue.client(), self._queue.keys()
        removed = 0
        while removed < limit:
            started = time.monotonic()
            step = await wire.sweep(
                client,
                keys,
                state,
                until_ms=until_ms,
                keep=keep,
                count=limit - removed,
                by_hand=by_hand,
            )
            removed += step.removed
            if step.done:
                break
            if polite:
                await asyncio.sleep(time.monotonic() - started)
        return removed


async def _ago_ms(client: aioredis.Redis, seconds: float) -> int:
    """By the server's clock: one of this machine that is ahead would have too much removed."""
    return max(0, await server_ms(client) - round(seconds * 1000))


async def read_metas(client: aioredis.Redis, queues: Sequence[QueueKeys]) -> list[QueueMeta]:
    """What holds for each queue as a whole. One round trip. Raises what redis-py raises."""
    pipe = client.pipeline(transaction=False)
    for keys in queues:
        pipe.hgetall(keys.meta)
        pipe.llen(keys.paused)
        pipe.get(keys.old_clients)
    replies = await pipe.execute() if queues else []
    return [_meta(*replies[start : start + 3]) for start in range(0, len(replies), 3)]


def _meta(fields: dict[bytes, bytes], paused_jobs: int, remembered: bytes | None) -> QueueMeta:
    jobs, window_ms = whole(fields.get(b"max")), whole(fields.get(b"duration"))
    version = fields.get(b"version")
    return QueueMeta(
        paused=b"paused" in fields,
        concurrency=whole(fields.get(b"concurrency")) or None,
        rate_limit=RateLimit(jobs, per=window_ms / 1000) if jobs > 0 and window_ms > 0 else None,
        max_events=whole(fields.get(b"opts.maxLenEvents")) or None,
        written_by=version.decode() if version else None,
        old_clients=old_clients.read(fields, paused_jobs, remembered),
    )
