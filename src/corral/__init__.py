"""Corral: background jobs for Python on Redis, wire-compatible with BullMQ."""

from corral.context import JobContext, ThreadJobContext
from corral.errors import (
    CorralError,
    GroupFull,
    JobFailed,
    ResultTimeout,
    RetryAfter,
    SignalTimeout,
    Snooze,
    Unrecoverable,
)
from corral.groups import GroupLimits
from corral.job import Job
from corral.policy import Keep, Priority, RateLimit, Retention, Retry
from corral.queue import Queue
from corral.settings import Settings
from corral.worker.worker import Worker

__version__ = "0.1.0"

__all__ = [
    "CorralError",
    "GroupFull",
    "GroupLimits",
    "Job",
    "JobContext",
    "JobFailed",
    "Keep",
    "Priority",
    "Queue",
    "RateLimit",
    "ResultTimeout",
    "Retention",
    "Retry",
    "RetryAfter",
    "Settings",
    "SignalTimeout",
    "Snooze",
    "ThreadJobContext",
    "Unrecoverable",
    "Worker",
]
