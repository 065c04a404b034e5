"""What becomes of a job after its handler ended: pure decisions, no I/O.

The order of the rules is the life of a failing job: an attempt that may not count (Snooze, a durable wait)
goes back unspent; what cannot help to repeat (Unrecoverable, no attempt left) goes to the dead letters;
everything else waits and runs again.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from corral.bullmq.codec import JobOptions
from corral.errors import RetryAfter, Snooze, Unrecoverable
from corral.policy import Keep, Retention, Retry

#: Longest reason kept; the whole story is in the stack trace.
REASON_LIMIT = 2_000

#: Longest stack trace kept for one attempt.
TRACE_LIMIT = 12_000

#: Longest wait that an error can ask for. Beyond it a number is a slip, and infinity has no milliseconds.
LONGEST_WAIT_SECONDS = 10 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds for one job: its own options where it has them, else its queue's policy."""

    retry: Retry
    timeout: float | None
    completed: Keep
    failed: Keep
    keep_logs: int | None
    lifo: bool


def plan(options: JobOptions, retry: Retry, timeout: float | None, retention: Retention) -> Plan:
    return Plan(
        retry=options.retry or retry,
        timeout=options.timeout if options.timeout is not None else timeout,
        completed=options.completed or retention.completed,
        failed=options.failed or retention.failed,
        keep_logs=options.keep_logs,
        lifo=options.lifo,
    )


@dataclass(frozen=True, slots=True)
class Dead:
    """To the dead letters."""

    reason: str
    trace: str


@dataclass(frozen=True, slots=True)
class Again:
    """The attempt is spent; the next one starts in `wait` seconds."""

    wait: float
    reason: str
    trace: str


@dataclass(frozen=True, slots=True)
class Unspent:
    """Back for `wait` seconds; the attempt does not count."""

    wait: float


def decide(
    error: BaseException, plan: Plan, attempt: int, *, rand: Callable[[], float] = random.random
) -> Dead | Again | Unspent:
    """What becomes of a job whose attempt number `attempt` raised `error`."""
    if isinstance(error, Snooze):
        return Unspent(min(max(0.0, error.seconds), LONGEST_WAIT_SECONDS))
    reason, trace = describe(error)
    if isinstance(error, Unrecoverable) or attempt >= plan.retry.attempts:
        return Dead(reason, trace)
    wait = plan.retry.wait_after(attempt, rand=rand)
    if isinstance(error, RetryAfter):
        wait = min(max(wait, error.seconds), LONGEST_WAIT_SECONDS)
    return Again(wait, reason, trace)


def describe(error: BaseException) -> tuple[str, str]:
    """The reason in one line, and the stack trace as text, both bounded."""
    try:
        reason = " ".join(str(error).split()) or type(error).__name__
    except Exception:  # an error whose __str__ is broken must cost its attempt, no more
        reason = type(error).__name__
    trace = "".join(traceback.format_exception(error))
    if len(trace) > TRACE_LIMIT:  # the end names the error, the beginning the way to it
        trace = trace[: TRACE_LIMIT // 3] + "\n  […]\n" + trace[-2 * TRACE_LIMIT // 3 :]
    return _writable(reason[:REASON_LIMIT]), _writable(trace)


def _writable(text: str) -> str:
    """Lone surrogates (from a file name that is not UTF-8, say) have no place in JSON or msgpack."""
    return text.encode(errors="backslashreplace").decode()
