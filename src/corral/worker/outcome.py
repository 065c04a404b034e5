"""What becomes of a job after its handler ended: pure decisions, no I/O.

The order of the rules is the life of a failing job: an attempt that may not count (Snooze, a durable wait)
goes back unspent; what cannot help to repeat (Unrecoverable, an error that the queue declares permanent or
does not list as retryable, no attempt left) goes to the dead letters; all else waits and runs again.

A job's own attempts and waits win over the queue's; which errors are worth a retry is the queue's alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from corral.bullmq.codec import JobOptions
from corral.errors import CorralError, JobExpired, RetryAfter, Snooze, Unrecoverable
from corral.hooks import HookRules, Targets
from corral.policy import Keep, Retention, Retry
from corral.worker.traces import format_trace

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
    #: Seconds after it was due (`delay` after it was added) within which the job must have started.
    ttl: float | None = None
    delay: float = 0.0
    #: Who is told of its end.
    targets: Targets | None = None
    #: The trace it belongs to.
    trace: str | None = None


def plan(
    options: JobOptions,
    retry: Retry,
    timeout: float | None,
    retention: Retention,
    ttl: float | None = None,
    hooks: HookRules | None = None,
) -> Plan:
    return Plan(
        retry=_retry(options, retry),
        timeout=options.timeout if options.timeout is not None else timeout,
        completed=options.completed or retention.completed,
        failed=options.failed or retention.failed,
        keep_logs=options.keep_logs,
        lifo=options.lifo,
        ttl=options.ttl if options.ttl is not None else ttl,
        delay=options.delay,
        targets=None if hooks is None else hooks.targets(options.webhook),
        trace=options.trace,
    )


def _retry(options: JobOptions, queue: Retry) -> Retry:
    own = options.retry
    if own is None:
        return queue
    if options.queue_waits:
        return replace(queue, attempts=own.attempts)
    return replace(own, permanent=queue.permanent, retryable=queue.retryable)


def refuse_expired(plan: Plan, added_ms: float, now_ms: float) -> None:
    """Raise JobExpired for a job that never started and whose time to live has passed. Epoch milliseconds."""
    if plan.ttl is None:
        return
    late = (now_ms - added_ms) / 1000 - plan.delay - plan.ttl
    if late >= 0:
        raise JobExpired(
            f"Expired {late:.3f} s before a worker came to it: it was to start within {plan.ttl:g} s of the "
            "time it was due. Retry it if it is still wanted."
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
    retry = plan.retry
    if isinstance(error, Unrecoverable) or attempt >= retry.attempts or not _worth_a_retry(error, retry):
        return Dead(reason, trace)
    wait: float | None
    if retry.wait is None:
        wait = retry.wait_after(attempt, rand=rand)
    else:
        try:
            wait = _asked(retry.wait(attempt, error))
        except Exception as fault:  # a fault in the policy must not cost the job
            wait = retry.wait_after(attempt, rand=rand)
            trace += _writable(
                f"\nRetry.wait was passed over: {type(fault).__name__}: {describe(fault)[0]}\n"
            )
        if wait is None:
            return Dead(reason, trace)
    if isinstance(error, RetryAfter):
        wait = min(max(wait, error.seconds), LONGEST_WAIT_SECONDS)
    return Again(wait, reason, trace)


def _worth_a_retry(error: BaseException, retry: Retry) -> bool:
    if retry.permanent and isinstance(error, tuple(retry.permanent)):
        return False
    return not retry.retryable or isinstance(error, (RetryAfter, *retry.retryable))


def _asked(wait: object) -> float | None:
    """What a wait function said, bounded. Raises CorralError for what is neither seconds nor None."""
    if wait is None:
        return None
    if not isinstance(wait, (int, float)) or isinstance(wait, bool) or math.isnan(wait) or wait < 0:
        raise CorralError(f"it gave {wait!r}; give seconds from 0 on, or None.")
    return min(float(wait), LONGEST_WAIT_SECONDS)


def describe(error: BaseException) -> tuple[str, str]:
    """The reason in one line, and the stack trace as text, both bounded."""
    try:
        reason = " ".join(str(error).split()) or type(error).__name__
    except Exception:  # an error whose __str__ is broken must cost its attempt, no more
        reason = type(error).__name__
    if isinstance(error, KeyError):  # its own text is the key alone
        reason = f"{type(error).__name__}: {reason}"
    trace = format_trace(error)
    if len(trace) > TRACE_LIMIT:  # the end names the error, the beginning the way to it
        trace = trace[: TRACE_LIMIT // 3] + "\n  […]\n" + trace[-2 * TRACE_LIMIT // 3 :]
    return _writable(reason[:REASON_LIMIT]), _writable(trace)


def _writable(text: str) -> str:
    """Lone surrogates (from a file name that is not UTF-8, say) have no place in JSON or msgpack."""
    return text.encode(errors="backslashreplace").decode()
