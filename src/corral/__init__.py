"""Corral: background jobs for Python on Redis, wire-compatible with BullMQ.

Names are imported when they are first asked for: a program that only adds jobs loads no worker, and one that
merely has Corral among its imports loads nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corral.batch import Batch, BatchJob, ThreadBatchJob
    from corral.cancelling import Cancelled
    from corral.context import JobContext, ThreadJobContext
    from corral.current import current_job
    from corral.dedup import Dedup
    from corral.errors import (
        ChildFailed,
        CorralError,
        FlowConflict,
        GroupFull,
        IdempotencyConflict,
        JobCancelled,
        JobExpired,
        JobFailed,
        ResultTimeout,
        RetryAfter,
        SignalTimeout,
        Snooze,
        Unrecoverable,
    )
    from corral.family import ChildKey, OnFailure
    from corral.flow import Flow
    from corral.groups import GroupLimits
    from corral.hooks import Webhook
    from corral.job import Job
    from corral.policy import Forget, Keep, Objective, Priority, RateLimit, Retention, Retry
    from corral.queue import Queue
    from corral.schedules import Schedule
    from corral.settings import Settings
    from corral.special_adds import NewJob
    from corral.worker.processes.context import AsyncProcessJobContext, ProcessJobContext
    from corral.worker.worker import Worker

__version__ = "0.1.0"

__all__ = [
    "AsyncProcessJobContext",
    "Batch",
    "BatchJob",
    "Cancelled",
    "ChildFailed",
    "ChildKey",
    "CorralError",
    "Dedup",
    "Flow",
    "FlowConflict",
    "Forget",
    "GroupFull",
    "GroupLimits",
    "IdempotencyConflict",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobExpired",
    "JobFailed",
    "Keep",
    "NewJob",
    "Objective",
    "OnFailure",
    "Priority",
    "ProcessJobContext",
    "Queue",
    "RateLimit",
    "ResultTimeout",
    "Retention",
    "Retry",
    "RetryAfter",
    "Schedule",
    "Settings",
    "SignalTimeout",
    "Snooze",
    "ThreadBatchJob",
    "ThreadJobContext",
    "Unrecoverable",
    "Webhook",
    "Worker",
    "current_job",
]

#: Module to the names that it lends; the imports above say the same to type checkers.
_LENT = {
    "corral.batch": ("Batch", "BatchJob", "ThreadBatchJob"),
    "corral.cancelling": ("Cancelled",),
    "corral.context": ("JobContext", "ThreadJobContext"),
    "corral.current": ("current_job",),
    "corral.dedup": ("Dedup",),
    "corral.errors": (
        "ChildFailed",
        "CorralError",
        "FlowConflict",
        "GroupFull",
        "IdempotencyConflict",
        "JobCancelled",
        "JobExpired",
        "JobFailed",
        "ResultTimeout",
        "RetryAfter",
        "SignalTimeout",
        "Snooze",
        "Unrecoverable",
    ),
    "corral.family": ("ChildKey", "OnFailure"),
    "corral.flow": ("Flow",),
    "corral.groups": ("GroupLimits",),
    "corral.hooks": ("Webhook",),
    "corral.job": ("Job",),
    "corral.policy": ("Forget", "Keep", "Objective", "Priority", "RateLimit", "Retention", "Retry"),
    "corral.queue": ("Queue",),
    "corral.schedules": ("Schedule",),
    "corral.settings": ("Settings",),
    "corral.special_adds": ("NewJob",),
    "corral.worker.processes.context": ("AsyncProcessJobContext", "ProcessJobContext"),
    "corral.worker.worker": ("Worker",),
}
_HOME = {name: module for module, names in _LENT.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
