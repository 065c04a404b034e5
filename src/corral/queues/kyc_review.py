"""A verification's word after its job has ended: a review that was resolved, a check that came too late.

The job `review` on `kyc-verification`, added for a genuine webhook that woke no job. It finds the row by the
provider's id, asks the provider what holds now, and changes the row if that is news:

    pending_review → approved, rejected, expired        expired → approved, rejected, pending_review

Guarantees: what is written is what the provider answers now, not what a webhook says, so an old webhook that
is sent again changes nothing. Approved and rejected are final. The user is told once of each change.
A webhook of a verification that is not ours, or has its outcome, costs one look at Supabase.
Limits: the result of the job that ended stays as it was; the row in Supabase is what counts. A verification
that `failed` is left to whoever retries its job, which finds the provider's word by itself.

Options: CORRAL_KYC_TABLE. Emits the log event `kyc_reviewed` (info).
"""

from __future__ import annotations

import time

import structlog

from corral.context import JobContext
from corral.errors import Snooze
from corral.providers import Providers, providers
from corral.providers.supabase import among, eq
from corral.queues import kyc_idenfy, kyc_onfido, notification
from corral.queues.kyc_steps import iso
from corral.queues.kyc_types import KycReview, KycReviewed, Status
from corral.settings import Settings

log = structlog.get_logger(__name__)

#: What may still change.
OPEN = (Status.PENDING_REVIEW, Status.EXPIRED)

#: Seconds. The job that waits for this very word may be between reading it and writing its outcome, at most
#: as long as its three attempts take; until then the row is looked at again now and then.
UNDER_WAY_WAIT = 120.0
UNDER_WAY_LIMIT = 3600.0

#: Seconds for which a provider's answer may lag behind its own webhook.
LAG_LIMIT = 360.0

#: What the user reads. Nothing about the document or the reason belongs on a locked screen.
MESSAGES: dict[Status, tuple[str, str]] = {
    Status.APPROVED: ("Identity verified", "Your identity has been verified."),
    Status.REJECTED: (
        "Verification unsuccessful",
        "We could not verify your identity. Open the app to see more.",
    ),
    Status.PENDING_REVIEW: ("Verification in review", "A member of our team is looking at your documents."),
    Status.EXPIRED: (
        "Verification expired",
        "The verification was not finished in time. Please start again.",
    ),
}


async def review(job: JobContext, data: KycReview) -> KycReviewed:
    """Bring the row of a verification up to what its provider says now."""
    outside, table = await providers(), Settings.load().kyc_table
    where = {"provider": eq(data.provider), "provider_ref": eq(data.provider_ref)}
    rows = await outside.supabase.select(table, where, columns="job_id,user_id,status", limit=1)
    if not rows:
        return KycReviewed(changed=False, status=None)
    row, now = rows[0], time.time()
    decided = job.checkpoints.get("decided")
    if decided is None:
        held = Status(row["status"])
        if held is Status.PROCESSING and now - job.enqueued_at < UNDER_WAY_LIMIT:
            raise Snooze(UNDER_WAY_WAIT)
        status = await asked(outside, data) if held in OPEN else held
        lags = held in OPEN and (status is None or data.said not in (None, status.value))
        if lags and now - job.enqueued_at < LAG_LIMIT:
            raise Snooze(UNDER_WAY_WAIT)
        if status is None or status is held:
            return KycReviewed(changed=False, status=held.value)
        decided = {"status": status.value, "at": iso(now)}
        await job.checkpoint({"decided": decided})
    values = {"status": decided["status"], "updated_at": decided["at"], "completed_at": decided["at"]}
    still_open = where | {"status": among([status.value for status in OPEN])}
    written = await outside.supabase.update(table, values, still_open, select="status")
    if not written and row["status"] != decided["status"]:
        return KycReviewed(changed=False, status=row["status"])  # another webhook was faster
    status = Status(decided["status"])
    await notify(row["user_id"], status, f"kyc-{job.id}")
    log.info("kyc_reviewed", job_id=row["job_id"], provider=data.provider, status=status.value)
    return KycReviewed(changed=True, status=status.value)


async def asked(outside: Providers, data: KycReview) -> Status | None:
    """What the provider says now; None if it is still at work."""
    if data.provider == "idenfy":
        said = (await outside.idenfy.status(data.provider_ref)).status
        return None if said == "ACTIVE" else kyc_idenfy.outcome(said)
    check = await outside.onfido.get_check(data.provider_ref)
    if check.status not in kyc_onfido.ENDED:
        return None
    if check.status != "complete":
        return kyc_onfido.outcome(check, [], "")
    # The job has forgotten the number that was claimed; the applicant at Onfido was made with it.
    applicant = await outside.onfido.get_applicant(check.applicant_id)
    claimed = next((str(number.get("value", "")) for number in applicant.id_numbers), "")
    return kyc_onfido.outcome(check, await outside.onfido.get_reports(check.id), claimed)


async def notify(user_id: str, status: Status, job_id: str) -> None:
    """Tell the user. The id makes it one message, however often this is called."""
    title, body = MESSAGES[status]
    message = notification.NotificationJob(
        user_id=user_id, type="push", title=title, body=body, data={"kycStatus": status.value}
    )
    await notification.queue.add("send", message, job_id=job_id)
