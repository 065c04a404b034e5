"""Corral: background jobs for Python on Redis, wire-compatible with BullMQ."""

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
