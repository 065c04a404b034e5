"""Where an inline job keeps what it says of itself: to its context, a `Consumer` that has no server."""

from __future__ import annotations

import time
from typing import Any, NoReturn

import msgspec

from corral.bullmq.codec import JobRecord
from corral.bullmq.keys import QueueKeys
from corral.errors import ConfigurationError


def not_inline(queue: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"Queue {queue!r} runs inline, without a server: {what} does not work there. "
        "Use the fixture `corral_queues` and `drain` (docs/engine/testing.md)."
    )


class MemoryJob:
    """One inline job. Has the methods of a Consumer that a JobContext calls; they never wait."""

    #: A JobContext asks whether the server has been silent.
    deaf_until = 0.0

    #: Nothing lies anywhere that it would have to be encrypted for.
    sealing = None

    def __init__(self, keys: QueueKeys, job_id: str, name: str, data: bytes, options: bytes) -> None:
        self.keys = keys
        self.id = job_id
        self.name = name
        self.data = data
        self.options = options
        self.enqueued_at = time.time()
        self.finished_at: float | None = None
        self.progress_json = "0"
        self.rows: list[str] = []
        self.fields: dict[str, str] = {}
        self.returned: bytes | None = None
        self.error: BaseException | None = None

    async def progress(self, job_id: str, value: str) -> None:  # noqa: ARG002  # as a Consumer has it
        self.progress_json = value

    async def log(self, job_id: str, row: str, keep: int) -> None:  # noqa: ARG002  # a Consumer's signature
        self.rows = [*self.rows, row][-keep:]

    async def store(
        self, _job_id: str, _token: str, field: str, value: str, *, timed: str | None = None
    ) -> bool:
        self.fields[field] = value
        if timed is not None:
            self.fields[timed] = str(round(time.time() * 1000))
        return True

    async def signal_payload(self, signal: str) -> NoReturn:  # noqa: ARG002  # a Consumer's signature
        raise not_inline(self.keys.name, "job.wait_for")

    @property
    def client(self) -> NoReturn:
        raise not_inline(self.keys.name, "what a job does with children")

    @property
    def status(self) -> str:
        if self.finished_at is None:
            return "active"
        return "completed" if self.error is None else "failed"

    def record(self) -> JobRecord:
        """As it would stand in Redis."""
        return JobRecord(
            id=self.id,
            name=self.name,
            data=self.data,
            options=self.options,
            enqueued_at=self.enqueued_at,
            started_at=self.enqueued_at,
            finished_at=self.finished_at,
            progress=self._progress(),
            returnvalue=self.returned,
            failed_reason=None if self.error is None else str(self.error),
            stacktrace=[],
            attempts_made=0 if self.finished_at is None else 1,
            attempts_started=1,
            stalled_count=0,
            priority=0,
            delay=0.0,
            processed_by="inline",
        )

    def _progress(self) -> Any:
        return msgspec.json.decode(self.progress_json)
