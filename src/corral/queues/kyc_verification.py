"""The queue `kyc-verification`: a person's document, verified by Onfido or iDenfy.

    processing in Supabase → submit (each step checkpointed) → progress 50
    → durable wait, woken by the signed webhook, with a poll as fallback
    → outcome in Supabase → progress 75 → a job on `notification` → progress 100 → result

Guarantees: a verification is paid for once, whatever crashes between the steps (limits in `kyc_onfido` and
`kyc_idenfy`). A rejected person is a completed job. An outcome in Supabase is never overwritten. `failed` is
written only when no attempt is left, and the user is notified once.
Limits: if Supabase itself is away when the last attempt fails, the row stays `processing`; the log says so
(`kyc_failure_not_written`). While it waits a job holds no slot and spends no attempt.

Options: the providers' keys, CORRAL_KYC_TABLE, CORRAL_KYC_COUNTRY.
Emits the log events `kyc_decided` (info), `kyc_failed` (warning), `kyc_failure_not_written` (error).
"""

from __future__ import annotations

import asyncio
import time
from typing import cast

import structlog

from corral.context import JobContext
from corral.errors import CorralError, LockLost, Snooze, Unrecoverable
from corral.policy import Forget, Priority, Retry
from corral.providers import Providers, providers
from corral.queue import Queue
from corral.queues.kyc_idenfy import verify_at_idenfy
from corral.queues.kyc_onfido import verify_at_onfido
from corral.queues.kyc_review import notify, review
from corral.queues.kyc_status import StatusRow
from corral.queues.kyc_steps import Case, Decision, iso
from corral.queues.kyc_types import KycJob, KycResult, Outcome, Status
from corral.settings import Settings

log = structlog.get_logger(__name__)

#: Epoch seconds. A name of its own, so that a test can set the time of the flow alone.
clock = time.time

#: Seconds that an attempt keeps back from its time limit to write down that it failed.
RESERVE = 5.0

#: What a verification that ended keeps in Redis: enough to see whose it was.
KEPT = ("userId", "documentType", "provider", "providerRef")


def forget_by(settings: Settings) -> Forget | None:
    """What is removed of the data of jobs that ended, by CORRAL_KYC_FORGET…"""
    if not settings.kyc_forget:
        return None
    return Forget(keep=KEPT, failed_after=settings.kyc_forget_failed_seconds)


queue = Queue(
    "kyc-verification",
    retry=Retry(attempts=3, delays=(60, 300, 900)),
    timeout=60,
    priority=Priority.HIGH,
    concurrency=5,
    forget=forget_by,
)
queue.job("review")(review)


class AttemptNearlyOver(CorralError):
    """The attempt came close to its time limit and was ended, so that its state could be written down."""


class UnexpectedError(CorralError):
    """Something failed that is neither a provider's nor Corral's own. Its class is named, its text is not."""


@queue.job("verify")
async def verify(job: JobContext, data: KycJob) -> KycResult:
    """Verify one document; run again from the top after every wait and every failure."""
    outside = await providers()
    row = StatusRow(outside.supabase, Settings.load().kyc_table, job.id, data)
    try:
        try:
            async with asyncio.timeout(time_left(job.deadline, clock())):
                return await _verify(job, data, outside, row)
        except TimeoutError as error:
            raise AttemptNearlyOver from error
    except Exception as error:
        if is_last(error, job.attempt, job.attempts):
            await _write_failed(job, row, error)
        if isinstance(error, CorralError):
            raise
        # The text of a foreign error may hold anything; what Redis keeps of this one is its class and place.
        raise UnexpectedError(type(error).__name__).with_traceback(error.__traceback__) from None


async def _verify(job: JobContext, data: KycJob, outside: Providers, row: StatusRow) -> KycResult:
    status, completed_at = _decided(job)
    if status is None:
        if not job.checkpoints.get("processing"):
            await row.write(Status.PROCESSING, iso(clock()))
            await job.checkpoint({"processing": True})

        async def refer(provider_ref: str) -> None:
            await row.refer(provider_ref, iso(clock()))

        case = Case(job, data, outside, clock, refer)
        decision = await (verify_at_onfido(case) if data.provider == "onfido" else verify_at_idenfy(case))
        status, completed_at = decision.status, iso(clock())
        await _keep(job, decision, completed_at)
    await row.write(status, completed_at, provider_ref=job.checkpoints.get("provider_ref"))
    await job.progress(75)
    await notify(data.user_id, status, f"kyc-{job.id}")
    await job.progress(100)
    log.info("kyc_decided", job_id=job.id, provider=data.provider, status=status.value)
    # The flows give only states that end a verification; the enum's type cannot say so.
    return KycResult(success=True, status=cast("Outcome", status.value), completed_at=completed_at)


# Steps


def _decided(job: JobContext) -> tuple[Status | None, str]:
    """The outcome that an earlier run stored."""
    stored = job.checkpoints
    return (Status(stored["outcome"]) if "outcome" in stored else None), str(stored.get("decided_at", ""))


async def _keep(job: JobContext, decision: Decision, at: str) -> None:
    await job.checkpoint(
        {"outcome": decision.status.value, "decided_at": at, "provider_ref": decision.provider_ref}
    )


async def _write_failed(job: JobContext, row: StatusRow, error: Exception) -> None:
    """Say in Supabase that nobody will try again. The error that led here is the one that counts."""
    # The text of a foreign error may hold anything.
    reason = str(error) if isinstance(error, CorralError) else type(error).__name__
    log.warning("kyc_failed", job_id=job.id, reason=reason)
    try:
        await row.write(Status.FAILED, iso(clock()))
        # So that a job which is tried again from the dead letters says `processing` again.
        await job.checkpoint({"processing": False})
    except CorralError as second:
        log.error("kyc_failure_not_written", job_id=job.id, reason=str(second))


# Decisions


def is_last(error: Exception, attempt: int, attempts: int) -> bool:
    """Whether nobody will try again after this error. A lost lock means that another worker does."""
    if isinstance(error, Snooze | LockLost):
        return False
    return isinstance(error, Unrecoverable) or attempt >= attempts


def time_left(deadline: float | None, now: float) -> float | None:
    """Seconds that the steps may take: up to the attempt's deadline less a reserve. None: no deadline."""
    if deadline is None:
        return None
    return max(deadline - now - min(RESERVE, (deadline - now) / 10), 0.0)
