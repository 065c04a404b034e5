"""Waiting for jobs to finish: one reader of a queue's event stream serves all who wait in this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from corral.bullmq import reader
from corral.bullmq.cancel import CANCELLED
from corral.bullmq.keys import QueueKeys
from corral.errors import JobNotFound

#: Below the connection's command time-out, so that a quiet stream does not look like a lost server.
BLOCK_MS = 2_000

#: A look at the job itself now and then: the stream is trimmed, and a removed job has no event at all.
LOOK_SECONDS = 5.0

#: How far back the end of a job that is gone is searched in the stream (which keeps about 10,000 events).
LOOK_BACK_EVENTS = 5_000

#: After a lost connection.
RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. `text` is its return value (JSON), or the reason why it failed."""

    completed: bool
    text: str
    cancelled: bool = False


class Results:
    """Outcomes of one queue's jobs, for one event loop. The reader runs only while somebody waits."""

    def __init__(self, client: aioredis.Redis, stream: aioredis.Redis, keys: QueueKeys) -> None:
        self._client = client
        self._stream = stream
        self._keys = keys
        self._waiting: defaultdict[str, set[asyncio.Future[Outcome]]] = defaultdict(set)
        self._reader: asyncio.Task[None] | None = None
        self._started = asyncio.Event()

    async def outcome(self, job_id: str) -> Outcome:
        """Wait for the end of a job. Raises JobNotFound, and what redis-py raises on the first look."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[job_id].add(future)
        try:
            self._ensure_reader()
            # The reader stands on the stream before the look, so an end between both is not missed.
            await self._started.wait()
            first = True
            while True:
                try:
                    ended = await self._look(job_id)
                except RedisError:
                    if first:
                        raise
                    ended = None
                first = False
                if ended is not None:
                    return ended
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        return await asyncio.shield(future)
        finally:
            future.cancel()
            self._waiting[job_id].discard(future)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def _look(self, job_id: str) -> Outcome | None:
        found = (await reader.find(self._client, [self._keys], job_id))[0]
        if found is None:
            return await self._look_back(job_id)
        record, state = found
        if state == "completed":
            return Outcome(True, (record.returnvalue or b"null").decode())
        if state == "failed":
            return Outcome(False, record.failed_reason or "no reason was given", record.cancelled)
        return None

    async def _look_back(self, job_id: str) -> Outcome:
        """A job that is removed when it ends leaves only its event."""
        entries: Any = await self._client.xrevrange(self._keys.events, count=LOOK_BACK_EVENTS)
        for _, fields in entries:
            if fields.get(b"jobId") == job_id.encode():
                outcome = _outcome({name.decode(): value.decode() for name, value in fields.items()})
                if outcome is not None:
                    return outcome
        raise JobNotFound(f"Job {job_id} is not in queue {self._keys.name!r}.")

    def _ensure_reader(self) -> None:
        if self._reader is None or self._reader.done():
            self._started.clear()
            self._reader = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        position: str | None = None
        try:
            while self._waiting:
                try:
                    if position is None:
                        last: Any = await self._client.xrevrange(self._keys.events, count=1)
                        position = last[0][0].decode() if last else "0-0"
                        self._started.set()
                    for event_id, event in await reader.read_events(
                        self._stream, self._keys, position, BLOCK_MS
                    ):
                        position = event_id
                        self._deliver(event)
                except RedisError:
                    # The waiting callers look at their jobs themselves until the stream is back.
                    self._started.set()
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._started.set()

    def _deliver(self, event: dict[str, str]) -> None:
        futures = self._waiting.get(event.get("jobId", ""))
        outcome = _outcome(event) if futures else None
        if futures and outcome:
            for future in futures:
                if not future.done():
                    future.set_result(outcome)

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)


def _outcome(event: dict[str, str]) -> Outcome | None:
    match event.get("event"):
        case "completed":
            return Outcome(True, event.get("returnvalue", "null"))
        case "failed":
            reason = event.get("failedReason", "no reason was given")
            return Outcome(False, reason, reason.startswith(CANCELLED))
        case "removed" if event.get("prev") not in ("completed", "failed"):
            return Outcome(False, f"{CANCELLED}it was removed before it ran.", cancelled=True)
    return None
