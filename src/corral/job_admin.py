"""The part of `queue.admin` that concerns jobs: retry, promote, remove, change. See `corral.admin`.

Retries and promotions keep the priority, also those of many jobs, where BullMQ's own script drops it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from corral.adding import check_bounds, check_data
from corral.bullmq import admin as wire
from corral.bullmq.codec import LARGEST
from corral.data import decode_json, encode
from corral.errors import BelongsToSchedule, InvalidInput, JobNotFound, RedisUnavailable, WrongState

if TYPE_CHECKING:
    from corral.queue import Queue

Finished = Literal["completed", "failed"]
FINISHED = ("completed", "failed")


class JobAdmin:
    """What an operator does to jobs of one queue."""

    __slots__ = ("_queue",)

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    # Many jobs

    async def retry_all(
        self, state: Finished = "failed", *, name: str | None = None, limit: int | None = None
    ) -> int:
        """Run all failed (or completed) jobs again, the oldest first, or those of one name; each as `retry`
        does, with its priority. Jobs that fail again meanwhile are not met twice. Returns how many.

        One round trip for each 250 jobs. Raises InvalidInput.
        """
        if state not in FINISHED:
            raise InvalidInput(f"retry_all({state!r}): only failed or completed jobs can be retried.")
        return await self._requeue_all(state, name, limit)

    async def promote_all(self, *, name: str | None = None, limit: int | None = None) -> int:
        """Let all delayed jobs, or those of one name, wait no longer; each keeps its priority.

        Those that were there when it began, retries, snoozed jobs and next runs of schedules among them.
        Returns how many. One round trip for each 250 jobs.
        """
        return await self._requeue_all("delayed", name, limit)

    async def _requeue_all(self, state: str, name: str | None, limit: int | None) -> int:
        most = limit_of(limit)
        moved = start = 0
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            left = int(await client.zcard(keys.base + state))
            while left > 0 and moved < most:
                count = min(wire.BATCH, left, most - moved)
                step = await wire.requeue(client, keys, state, start=start, count=count, name=name or "")
                moved += step.moved
                start += step.kept
                left -= count
        return moved

    # One job

    async def retry(self, job_id: str) -> None:
        """Run a failed or completed job again, as if new: attempts and stalls count from 0, its reason or
        result goes, its checkpoint and priority stay. One round trip, two for a completed job.

        Raises JobNotFound, WrongState.
        """
        with self._errors_of(job_id):
            client, keys = self._queue.client(), self._queue.keys()
            for state in ("failed", "completed"):
                done = await wire.requeue(client, keys, state, ids=[job_id])
                if done.moved:
                    return
                if done.missing:
                    raise self._not_found(job_id)
        raise WrongState(
            f"Job {job_id} in {self._queue.name!r} has not finished, so it cannot be retried yet."
        )

    async def promote(self, job_id: str) -> None:
        """Let a delayed job wait no longer. One round trip. Raises JobNotFound, WrongState."""
        with self._queue.redis_errors():
            code = await wire.promote(self._queue.client(), self._queue.keys(), job_id)
            await self._check(code, job_id, "is not delayed, so there is nothing to promote")

    async def remove(self, job_id: str, *, children: bool = True) -> None:
        """Remove a job from whatever state it is in, with its logs, and with its children that are not yet
        gone if `children`. Its parent no longer waits for it. Two round trips.

        Raises JobNotFound, BelongsToSchedule, and WrongState while it (or one of those children) runs.
        """
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            (code,) = await wire.remove(client, keys, [job_id], children=children)
            if code == wire.LOCKED:
                raise WrongState(
                    f"Job {job_id} in {self._queue.name!r} runs, or a child of it does. Cancel it first."
                )
            await self._check(code, job_id, "cannot be removed")

    async def change_delay(self, job_id: str, seconds: float) -> None:
        """Let a delayed job start in so many seconds from now. Two round trips.

        Raises JobNotFound, WrongState, InvalidInput.
        """
        check_number("seconds", seconds)
        with self._queue.redis_errors():
            delay_ms = round(min(seconds * 1000, LARGEST / 8192))  # the score holds the time 4,096 fold
            code = await wire.change_delay(self._queue.client(), self._queue.keys(), job_id, delay_ms)
            await self._check(code, job_id, "is not delayed, so its delay cannot change")

    async def change_priority(self, job_id: str, priority: int, *, lifo: bool = False) -> None:
        """Give a job another priority, now and for its later attempts; 0: none. A waiting job moves behind
        those of its new priority, with `lifo` before them. One round trip.

        Raises JobNotFound, InvalidOptions.
        """
        check_bounds(priority=priority)
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            code = await wire.change_priority(client, keys, job_id, int(priority), lifo=lifo)
            await self._check(code, job_id, "cannot change its priority")

    async def update_data(self, job_id: str, data: Any) -> None:
        """Give a job other data, checked against the type that this process declares for its name.

        A run under way keeps what it has. Two round trips. Raises JobNotFound, InvalidData, JobTooLarge.
        """
        with self._errors_of(job_id):
            client, keys = self._queue.client(), self._queue.keys()
            name: Any = await client.hget(keys.job(job_id), "name")
            if name is None:
                raise self._not_found(job_id)
            definition = self._queue.jobs.get(name.decode())
            decode = definition.decode_data if definition else decode_json
            text = check_data(self._queue, encode(data), decode, name=name.decode())
            await self._check(await wire.update_data(client, keys, job_id, text), job_id, "has no data")

    @contextlib.contextmanager
    def _errors_of(self, job_id: str) -> Iterator[None]:
        """The queue's other keys ("wait", "7:logs") are no jobs: Redis says so by their type."""
        try:
            with self._queue.redis_errors():
                yield
        except RedisUnavailable as error:
            if "WRONGTYPE" in str(error.__cause__):
                raise self._not_found(job_id) from None
            raise

    async def _check(self, code: int, job_id: str, refusal: str) -> None:
        """Turn a script's answer into our error. A second look tells a missing job from a moved one."""
        if code >= 0:
            return
        if code == wire.OF_SCHEDULE:
            raise BelongsToSchedule(
                f"Job {job_id} in {self._queue.name!r} is the next run of a schedule. Remove the schedule."
            )
        keys = self._queue.keys()
        if code == wire.MISSING or not await self._queue.client().exists(keys.job(job_id)):
            raise self._not_found(job_id)
        raise WrongState(f"Job {job_id} in {self._queue.name!r} {refusal}.")

    def _not_found(self, job_id: str) -> JobNotFound:
        return JobNotFound(
            f"Job {job_id} is not in queue {self._queue.name!r}. It never was, or its retention has passed."
        )

    def __repr__(self) -> str:
        return f"{self._queue!r}.admin"


def limit_of(limit: int | None) -> int:
    """The bound as a number. Raises InvalidInput."""
    if limit is None:
        return LARGEST
    if limit < 0:
        raise InvalidInput(f"limit={limit}: 0 or more; None for no bound.")
    return limit


def check_number(name: str, value: float) -> None:
    """Raises InvalidInput."""
    if not 0 <= value < math.inf:
        raise InvalidInput(f"{name}={value}: a number of 0 or more.")
