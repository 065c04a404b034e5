"""How one run of a job ended, as the settlement that tells Redis. The policy is in `outcome`; no I/O here.

Emits: job_put_back, job_held (with breaker), job_retries, job_failed, job_cancelled, unknown_job_name (each
with queue and job).
"""

from __future__ import annotations

from typing import NamedTuple

import structlog

from corral.breaker import expired_reason, hold_again, read_hold
from corral.bullmq import settlement as wire
from corral.bullmq.attempts import note
from corral.bullmq.breaking import HELD_FIELD
from corral.bullmq.cancel import CANCELLED, obeyed
from corral.bullmq.codec import append_stacktrace, whole
from corral.bullmq.keys import breaker_keys, signal_key
from corral.bullmq.settlement import Fetched, Settlement
from corral.context import WAIT_FIELD, Suspended, Wait
from corral.data import encode
from corral.errors import Held, HoldExpired, JobCancelled, KilledItsWorker, UnknownNameExpired
from corral.tracing import note_error
from corral.worker.breakers import Board
from corral.worker.outcome import Again, Dead, Plan, Unspent, decide, describe

log = structlog.get_logger(__name__)

#: A job with a name that no handler here knows is looked at again after this: a deploy may be rolling.
UNKNOWN_NAME_SECONDS = 30.0

#: Held so long in all, it goes to the dead letters.
UNKNOWN_NAME_LIMIT_SECONDS = 24 * 3600.0
UNKNOWN_FIELD = "corral:unknown"


class Ending(NamedTuple):
    """A run that did not complete: made only then."""

    queue: str
    job: Fetched
    job_id: str
    token: str
    plan: Plan
    attempt: int

    def error(self, error: BaseException) -> Settlement:
        """It raised: the policy decides."""
        job, job_id, token, plan, attempt = self.job, self.job_id, self.token, self.plan, self.attempt
        outcome = decide(error, plan, attempt)
        queue = self.queue
        match outcome:
            case Unspent(wait):
                log.info("job_put_back", queue=queue, job=job_id, seconds=wait, error=type(error).__name__)
                milliseconds = max(1, round(wait * 1000))
                settlement = wire.delay(job_id, token, milliseconds, spend=False)
                said = note("snoozed", wait_ms=milliseconds, error=error, message=describe(error)[0])
                return wire.noted(settlement, said)
            case Dead(reason, trace):
                note_error(error)
                log.warning(
                    "job_failed", queue=queue, job=job_id, attempt=attempt, error=type(error).__name__
                )
                rows = append_stacktrace(job.stacktrace, trace)
                killed = isinstance(error, KilledItsWorker)
                # Tried again by hand, it is held afresh.
                fields = [HELD_FIELD, ""] if isinstance(error, HoldExpired) else None
                settlement = wire.failed(
                    job_id,
                    token,
                    reason,
                    rows,
                    plan.failed,
                    plan.retry.attempts,
                    killed=killed,
                    fields=fields,
                )
                return wire.noted(settlement, note("dead", spent=True, error=error, message=reason))
            case Again(wait, reason, trace):
                note_error(error)
                log.info("job_retries", queue=queue, job=job_id, attempt=attempt, seconds=wait,
                         error=type(error).__name__)  # fmt: skip
                rows = append_stacktrace(job.stacktrace, trace)
                milliseconds = round(wait * 1000)
                said = note("failed", spent=True, wait_ms=milliseconds, error=error, message=reason)
                if milliseconds <= 0:
                    return wire.noted(wire.retry_now(job_id, token, reason, rows, lifo=plan.lifo), said)
                fields = ["failedReason", reason, "stacktrace", rows]
                return wire.noted(wire.delay(job_id, token, milliseconds, spend=True, fields=fields), said)

    def held(self, error: Held, opening: int, board: Board, now: float) -> Settlement:
        """A breaker holds it. `now`: the server's epoch seconds. Past its longest hold: a dead letter."""
        hold = hold_again(read_hold(self.job.held), error.breaker, opening, now)
        left = hold.left(now, board.rules)
        if left <= 0:
            return self.error(HoldExpired(expired_reason(error.breaker, error.reason, board.rules)))
        log.info("job_held", queue=self.queue, job=self.job_id, breaker=error.breaker)
        keys = breaker_keys(board.prefix, error.breaker)
        settlement = wire.hold(
            self.job_id,
            self.token,
            max(1, round(left * 1000)),
            [HELD_FIELD, hold.field()],
            keys.state,
            keys.held,
            f"{self.queue}:{self.job_id}",
        )
        return wire.noted(settlement, note("held", error=error, message=describe(error)[0]))

    def cancelled(self, why: JobCancelled) -> Settlement:
        """Somebody cancelled it."""
        job, job_id, token, plan = self.job, self.job_id, self.token, self.plan
        log.info("job_cancelled", queue=self.queue, job=job_id)
        reason = f"{CANCELLED}{why}"
        rows = append_stacktrace(job.stacktrace, "\n".join([reason, *getattr(why, "__notes__", ())]))
        settlement = wire.failed(
            job_id, token, reason, rows, plan.failed, plan.retry.attempts, fields=obeyed(str(why))
        )
        return wire.noted(settlement, note("cancelled", spent=True, error=why, message=str(why)))

    def suspended(self, wait: Suspended, prefix: str) -> Settlement:
        """It waits for a signal."""
        milliseconds = max(1, round(wait.seconds * 1000))
        settlement = wire.delay(
            self.job_id,
            self.token,
            milliseconds,
            spend=False,
            fields=[WAIT_FIELD, encode(Wait(wait.signal, wait.until)).decode()],
            signal=signal_key(prefix, wait.signal),
        )
        return wire.noted(settlement, note("signal", wait_ms=milliseconds, message=wait.signal))

    def stopped(self, why: BaseException | None) -> Settlement:
        """Its worker stops: back, unspent."""
        said = note("stopped", message="" if why is None else describe(why)[0])
        return wire.noted(wire.put_back(self.job_id, self.token), said)

    def hold(self, now: float) -> Settlement:
        """Keep a job that no handler here knows. `now`: the server's epoch seconds.

        Raises UnknownNameExpired after the limit.
        """
        job, job_id = self.job, self.job_id
        since = float(job.unknown_since or now)
        name = job.name.decode(errors="replace")
        log.error(
            "unknown_job_name", queue=self.queue, name=name, job=job_id, held_seconds=round(now - since)
        )
        if now - since >= UNKNOWN_NAME_LIMIT_SECONDS:
            raise UnknownNameExpired(
                f"No worker knew the name {name!r} for {UNKNOWN_NAME_LIMIT_SECONDS / 3600:.0f} h. "
                "Deploy a handler and retry the job."
            )
        # A look by a worker that does not know the name is no start: the job's time to live goes on.
        fields = [UNKNOWN_FIELD, f"{since:.3f}", "ats", str(whole(job.attempts_started))]
        return wire.delay(job_id, self.token, round(UNKNOWN_NAME_SECONDS * 1000), spend=False, fields=fields)
