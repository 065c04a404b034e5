"""Corral: background jobs for Python on Redis, wire-compatible with BullMQ."""

from corral.batch import Batch, BatchJob, ThreadBatchJob
from corral.context import JobContext, ThreadJobContext
from corral.current import current_job
from corral.errors import (
    CorralError,
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
    "Batch",
    "BatchJob",
    "CorralError",
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
    "ThreadBatchJob",
    "ThreadJobContext",
    "Unrecoverable",
    "Worker",
    "current_job",
]
