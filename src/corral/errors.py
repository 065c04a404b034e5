"""Every error that Corral raises, in one tree.

The docstring of a class is its default message. A message names the thing and says what to do next.
Four classes steer a job from inside its handler: `Unrecoverable`, `RetryAfter`, `Snooze` and `Held`;
provider errors inherit from them (see `corral.providers.errors`), so the worker needs to know no provider.
"""

from __future__ import annotations

import inspect


class CorralError(Exception):
    """Something went wrong in Corral."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.getdoc(type(self)) or type(self).__name__)

    @property
    def message(self) -> str:
        return str(self)


# Set-up


class ConfigurationError(CorralError):
    """A setting is missing or wrong. See `.env.example` for all settings."""


class LayoutUnsupported(CorralError):
    """The queue was written by a BullMQ version whose layout Corral does not know. Upgrade Corral first."""


class AlreadyRunning(CorralError):
    """Another process serves this data directory. Stop it, or choose another --data-dir."""


class ServerFailed(CorralError):
    """The embedded Redis server did not start. Its log is in the data directory."""


# Talking to Redis


class RedisUnavailable(CorralError):
    """Redis does not answer. Check REDIS_URL and that the server runs; Corral reconnects by itself."""


class RedisFull(RedisUnavailable):
    """Redis is out of memory and takes no more jobs. Workers go on; give it memory, or wait for them."""


class RedisRefused(RedisUnavailable):
    """The Redis user may not do what Corral needs. docs/engine/servers.md lists the rights it takes."""


# At the edge: what a caller sent


class InvalidInput(CorralError):
    """The caller sent something that Corral cannot accept."""


class InvalidData(InvalidInput):
    """The job's data does not match the type that its queue declares."""


class InvalidOptions(InvalidInput):
    """A job option has a value that BullMQ's layout cannot hold."""


class JobTooLarge(InvalidInput):
    """The job's data is over the queue's size limit. Store it elsewhere and pass a reference."""


class GroupFull(InvalidInput):
    """As many jobs wait in the group as it may hold. Add again when some have run."""


class UnknownQueue(InvalidInput):
    """No queue of this name is known here."""


class UnknownWorker(InvalidInput):
    """No living worker has this name. `corral workers` lists them."""


class UnknownJobName(InvalidInput):
    """The queue declares no job of this name."""


class IdempotencyConflict(InvalidInput):
    """This idempotency key was used with other data or another name. Use a new key for a new request."""


class FlowConflict(InvalidInput):
    """A job of the flow exists already and cannot become part of it. Give the node another `job_id`."""


class ScheduleNotFound(InvalidInput):
    """The queue has no schedule of this id."""


class ScheduleConflict(CorralError):
    """The schedule could not be written: others change it, or old jobs hold its slots. Try again."""


# Administration


class WrongState(CorralError):
    """The job or queue is in a state that does not allow this. Look at it, and ask for what fits."""


class BelongsToSchedule(CorralError):
    """The job is the next run of a schedule and goes with it. Remove or change the schedule."""


class DeadLetterNotFound(InvalidInput):
    """The dead letter desk knows no such group or operation. List them to see what there is."""


class OperationNotFound(InvalidInput):
    """The queue knows no such operation on many jobs. List them to see what there is."""


class UnknownKey(InvalidInput):
    """There is no managed API key of this id or name."""


# Waiting for a job


class JobNotFound(CorralError):
    """No job of this id: it never was, or its retention has passed."""


class JobFailed(CorralError):
    """The job failed for good. Its reason is in the message, its stack traces are in the dead letters."""


class JobCancelled(JobFailed):
    """Somebody cancelled the job."""


class CannotCancel(CorralError):
    """This job cannot be cancelled by itself."""


class ResultTimeout(CorralError, TimeoutError):
    """The job did not finish in the given time. It goes on; ask for its result again."""


class NotDrained(CorralError, TimeoutError):
    """A test's queues were not empty in the given time."""


# Steering a job from its handler


class Unrecoverable(CorralError):
    """Trying again cannot help. The job goes to the dead letters at once."""


class RetryAfter(CorralError):
    """The attempt failed; the next one must not start before the given number of seconds."""

    def __init__(self, seconds: float, message: str | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class Snooze(CorralError):
    """Put the job back for the given number of seconds. No attempt is spent."""

    def __init__(self, seconds: float, message: str | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class Held(Snooze):
    """The breaker of what the job needs is open. The job is held until it closes; no attempt is spent.

    breaker: its name. reason: what is wrong, without secrets. Where no worker holds jobs (a test, a script),
    it is a Snooze of `seconds`.
    """

    def __init__(self, breaker: str = "", reason: str = "", *, seconds: float = 60.0) -> None:
        super().__init__(seconds, f"{breaker}: {reason}" if breaker else None)
        self.breaker = breaker
        self.reason = reason
        #: Which opening of the breaker the job met; the worker sets it.
        self.opening: int | None = None
        #: The job was held for as long as a job may be: this time it goes to the dead letters.
        self.last = False


class HoldExpired(Unrecoverable):
    """The job was held for as long as a job may be, and what it needs is still out of order."""


class SignalTimeout(CorralError, TimeoutError):
    """The signal that the job waited for did not come in time."""


class ChildFailed(Unrecoverable):
    """A child failed for good, and its policy fails its parent. Retry the child, then the parent."""


# What the worker says of a job


class AttemptTimeout(CorralError, TimeoutError):
    """The attempt took longer than its time limit."""


class ProcessDied(CorralError):
    """The process that ran the job died: a crash in native code, os._exit(), or the system killed it."""


class LockLost(CorralError):
    """Another worker took the job over, so this attempt may no longer write its outcome."""


class UndecodableData(Unrecoverable):
    """The job's data cannot be read as the type that its handler declares. The raw bytes are kept."""


class CannotDecrypt(UndecodableData):
    """A payload is encrypted and cannot be opened here. The raw bytes are kept."""


class KilledItsWorker(Unrecoverable):
    """The job's process died while it ran, more often than the limit allows."""


class JobExpired(Unrecoverable):
    """The job was not started within its time to live. Retry it if it is still wanted."""


class UnknownNameExpired(Unrecoverable):
    """No worker knew this job's name for the whole holding time. Deploy a handler and retry the job."""
