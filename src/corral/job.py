"""A job as its producer and an operator see it: a handle with the state it was last read in."""

# ruff: noqa: PLC0415  # what adding a job does not need is imported where it is asked for (decision 7)

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from corral.data import decode_json
from corral.errors import InvalidData, JobCancelled, JobFailed, JobNotFound, ResultTimeout

if TYPE_CHECKING:
    from corral.bullmq.codec import JobRecord
    from corral.cancelling import Cancelled
    from corral.family import ChildCounts, ChildrenPage
    from corral.queue import Queue
    from corral.sync import SyncJob


class Job:
    """Made by `Queue.add` and `Queue.get`. All but the ids is what Redis said when last read."""

    __slots__ = ("_data", "_queue", "_record", "existed", "id", "name", "status")

    def __init__(
        self,
        queue: Queue,
        job_id: str,
        name: str,
        data: bytes,
        *,
        record: JobRecord | None = None,
        status: str | None = None,
        existed: bool = False,
    ) -> None:
        self._queue = queue
        self._data = data
        self._record = record
        #: True if `add` met a job that was there already, by custom id or idempotency key.
        self.existed = existed
        self.id = job_id
        self.name = name
        #: waiting, active, delayed, completed, failed or waiting-children; None right after `add`.
        self.status = status

    @property
    def queue(self) -> str:
        return self._queue.name

    @property
    def data(self) -> Any:
        """The data, as the declared type if this process declares the name and the data fits, else plain.

        Encrypted data that cannot be opened here is the object that Redis has.
        """
        raw = self.raw_data
        definition = self._queue.jobs.get(self.name)
        if definition is not None:
            try:
                return definition.decode_data(raw)
            except InvalidData:
                pass
        return decode_json(raw)

    @property
    def raw_data(self) -> bytes:
        """The data as JSON, decrypted where it can be."""
        return self._queue.sealing.show("data", self.name, self._data)

    @property
    def record(self) -> JobRecord | None:
        """Its hash as it was read last; None right after `add`."""
        return self._record

    @property
    def progress(self) -> Any:
        if self._record is None:
            return 0
        return self._queue.sealing.shown("progress", self.id, self._record.progress)

    @property
    def result_value(self) -> Any:
        """The return value, plain JSON; None while there is none."""
        raw = self._record.returnvalue if self._record else None
        return None if raw is None else decode_json(self._queue.sealing.show("result", self.id, raw))

    @property
    def failed_reason(self) -> str | None:
        return self._record.failed_reason if self._record else None

    @property
    def cancelled(self) -> bool:
        """It failed because somebody cancelled it while it ran."""
        return self.status == "failed" and self._record is not None and self._record.cancelled

    @property
    def stacktrace(self) -> list[str]:
        return self._record.stacktrace if self._record else []

    @property
    def attempts_made(self) -> int:
        """Attempts that ended, the running one not counted."""
        return self._record.attempts_made if self._record else 0

    @property
    def enqueued_at(self) -> float | None:
        """Epoch seconds, like the two below."""
        return self._record.enqueued_at if self._record else None

    @property
    def started_at(self) -> float | None:
        return self._record.started_at if self._record else None

    @property
    def finished_at(self) -> float | None:
        return self._record.finished_at if self._record else None

    @property
    def processed_by(self) -> str | None:
        return self._record.processed_by if self._record else None

    @property
    def sync(self) -> SyncJob:
        """The calls below, blocking, for code without an event loop."""
        from corral.sync import SyncJob

        return SyncJob(self)

    async def refresh(self) -> Job:
        """Read the job again. One round trip. Raises JobNotFound."""
        fresh = await self._queue.get(self.id)
        if fresh is None:
            raise JobNotFound(f"Job {self.id} is not in queue {self.queue!r}: its retention has passed.")
        self.name = fresh.name
        self.status = fresh.status
        self._data = fresh._data  # noqa: SLF001  # the same class
        self._record = fresh._record  # noqa: SLF001  # the same class
        return self

    async def result(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109  # part of the public contract
        """Wait for the job to finish and return its value, as the declared result type where there is one.

        timeout: seconds; None waits for ever. One look-up, then the queue's event stream, which all
        waiting callers of this process share.
        Raises JobFailed (JobCancelled if somebody cancelled it), ResultTimeout, JobNotFound,
        RedisUnavailable, CannotDecrypt.
        """
        try:
            async with asyncio.timeout(timeout):
                outcome = await self._queue.outcome(self.id)
        except TimeoutError:
            raise ResultTimeout(
                f"Job {self.id} in {self.queue!r} did not finish within {timeout} s. It goes on."
            ) from None
        if outcome.cancelled:
            from corral.bullmq.cancel import CANCELLED

            reason = outcome.text.removeprefix(CANCELLED)
            raise JobCancelled(f"Job {self.id} in {self.queue!r} was cancelled: {reason}")
        if not outcome.completed:
            raise JobFailed(f"Job {self.id} in {self.queue!r} failed: {outcome.text}")
        definition = self._queue.jobs.get(self.name)
        decode = definition.decode_result if definition else decode_json
        return decode(self._queue.sealing.open("result", self.id, outcome.text.encode()))

    async def cancel(self, reason: str = "") -> Cancelled:
        """Cancel the job, also while it runs: see `Queue.cancel`. One round trip."""
        return await self._queue.cancel(self.id, reason)

    async def logs(self, start: int = 0, end: int = -1) -> list[str]:
        """Log rows, oldest first. One round trip."""
        return await self._queue.logs(self.id, start, end)

    async def children(self, cursor: str | None = None, count: int = 100) -> ChildrenPage:
        """A page of the job's children, see `Queue.children`. One round trip."""
        return await self._queue.children(self.id, cursor, count)

    async def children_counts(self) -> ChildCounts:
        """How many children it has in each state. One round trip."""
        return await self._queue.children_counts(self.id)

    def __repr__(self) -> str:
        return f"Job({self.id!r}, queue={self.queue!r}, name={self.name!r}, status={self.status!r})"
