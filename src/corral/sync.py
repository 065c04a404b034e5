"""The blocking face of a queue and of its jobs, for Django, Flask, scripts: `queue.sync.add(…)`.

    job = reports.sync.add("build", {"month": "2026-11"}, delay=10)
    result = job.sync.result(timeout=30)

Safe in threads and after forks; see `corral.portal`. Every method is its async namesake's: same options, same
errors, same round trips. What has no namesake here runs through `run`: `reports.sync.run(reports.get("7"))`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from corral.adding import AddOptions, ManyOptions
from corral.portal import run_sync

if TYPE_CHECKING:
    from corral.job import Job
    from corral.queue import Queue

Result = TypeVar("Result")


class SyncQueue:
    """`Queue.sync`."""

    __slots__ = ("_queue",)

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def add(self, name: str, data: Any = None, **options: Unpack[AddOptions]) -> Job:
        return run_sync(self._queue.add(name, data, **options))

    def add_many(self, name: str, items: Sequence[Any], **options: Unpack[ManyOptions]) -> list[Job]:
        return run_sync(self._queue.add_many(name, items, **options))

    def get(self, job_id: str) -> Job | None:
        return run_sync(self._queue.get(job_id))

    def counts(self) -> dict[str, int]:
        return run_sync(self._queue.counts())

    def signal(self, signal: str, payload: Any = None) -> bool:
        return run_sync(self._queue.signal(signal, payload))

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Run any call of the queue and wait for it: `queue.sync.run(queue.admin.pause())`."""
        return run_sync(call)


class SyncJob:
    """`Job.sync`."""

    __slots__ = ("_job",)

    def __init__(self, job: Job) -> None:
        self._job = job

    def result(self, timeout: float | None = None) -> Any:
        return run_sync(self._job.result(timeout))

    def refresh(self) -> Job:
        return run_sync(self._job.refresh())

    def logs(self, start: int = 0, end: int = -1) -> list[str]:
        return run_sync(self._job.logs(start, end))
