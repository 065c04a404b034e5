"""Corral: background jobs for Python on Redis, wire-compatible with BullMQ."""

from corral.batch import NewJob
from corral.context import JobContext, ThreadJobContext
from corral.dedup import Dedup
from corral.errors import (
    CorralError,
    IdempotencyConflict,
    JobExpired,
    JobFailed,
    ResultTimeout,
    RetryAfter,
    SignalTimeout,
    Snooze,
    Unrecoverable,
)
from corral.job import Job
from corral.policy import Keep, Priority, RateLimit, Retention, Retry
from corral.queue import Queue
from corral.settings import Settings
from corral.worker.worker import Worker

__version__ = "0.1.0"

__all__ = [
    "CorralError",
    "Dedup",
    "IdempotencyConflict",
    "Job",
    "JobContext",
    "JobExpired",
    "JobFailed",
    "Keep",
    "NewJob",
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
