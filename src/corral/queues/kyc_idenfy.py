"""The KYC flow at iDenfy: session, photographs, wait, outcome.

Guarantees: one job's photographs are handed over for verification once. The session's reference is stored
before that; a run that cannot know whether its predecessor's photographs arrived asks for the session's
status, and only a session that is still open, or ended without them, gets them again.
Limits: iDenfy cannot look a session up by our reference, so a crash between opening one and storing it
leaves an empty session behind, which expires after an hour. Polling is forbidden: if the webhook is lost, the
outcome is known only 80 minutes after submission.
"""

from __future__ import annotations

import hashlib

import structlog

from corral.errors import SignalTimeout
from corral.providers.idenfy import IMAGE_BYTES, Session, TokenNotValid, signal_name
from corral.queues.kyc_pictures import picture
from corral.queues.kyc_steps import Case, Decision
from corral.queues.kyc_types import DocumentType, Status
from corral.queues.kyc_waits import IDENFY_WAIT

log = structlog.get_logger(__name__)

DOCUMENT_TYPES: dict[DocumentType, str] = {
    "passport": "PASSPORT",
    "id_card": "ID_CARD",
    "driving_license": "DRIVER_LICENSE",
}

#: iDenfy's limit for externalRef.
_REF_LENGTH = 40

#: A session in one of these states never got its photographs, if we do not know that it did.
_EMPTY = frozenset({"ACTIVE", "EXPIRED", "EXPIRED-DELETED"})


async def verify_at_idenfy(case: Case) -> Decision:
    """Run the flow, or go on with it. Raises provider errors, and what `wait_for` raises to suspend."""
    if case.stored("submitted_at") is None:
        await _submit(case)
    scan_ref = str(case.stored("scan_ref"))
    await case.submitted(scan_ref)
    try:
        payload = await case.job.wait_for(signal_name(scan_ref), timeout=IDENFY_WAIT)
        overall = str(payload.get("overall", ""))
    except SignalTimeout:
        overall = (await case.providers.idenfy.status(scan_ref)).status
    return Decision(outcome(overall), scan_ref)


# Submitting


async def _submit(case: Case) -> None:
    session = _stored_session(case)
    if session is not None and case.stored("process_attempt") is not None:
        # An earlier run was about to hand the photographs over, or had; its checkpoint does not say which.
        status = (await case.providers.idenfy.status(session.scan_ref)).status
        if status not in _EMPTY:
            await case.job.checkpoint({"submitted_at": case.clock()})
            return
        if status != "ACTIVE":
            session = None
    images = await _images(case)
    session = session or await _open(case)
    await case.job.checkpoint({"process_attempt": case.job.attempt})
    try:
        await _process(case, session, images)
    except TokenNotValid:
        status = (await case.providers.idenfy.status(session.scan_ref)).status
        if status in _EMPTY:
            # The token was too old: a retry from the dead letters, hours later.
            await _process(case, await _open(case), images)
    await case.job.checkpoint({"submitted_at": case.clock()})


async def _images(case: Case) -> dict[str, bytes]:
    data = case.data
    urls = {"FRONT": data.front_image_url, "BACK": data.back_image_url, "FACE": data.selfie_image_url}
    return {
        side: (await picture(case.providers.fetcher, url, sizes=IMAGE_BYTES)).content
        for side, url in urls.items()
        if url is not None
    }


def _stored_session(case: Case) -> Session | None:
    scan_ref = case.stored("scan_ref")
    return None if scan_ref is None else Session(str(scan_ref), str(case.stored("auth_token")))


async def _open(case: Case) -> Session:
    data = case.data
    if case.stored("session_attempt") is not None:
        log.warning("idenfy_session_left_empty", job_id=case.job.id)
    await case.job.checkpoint({"session_attempt": case.job.attempt})
    session = await case.providers.idenfy.create_session(
        client_id=data.user_id,
        external_ref=external_ref(case.job.id),
        document_type=DOCUMENT_TYPES[data.document_type],
        with_face=data.selfie_image_url is not None,
        details={
            "documentNumber": data.document_number,
            "firstName": data.first_name or "",
            "lastName": data.last_name or "",
            "dateOfBirth": data.date_of_birth.isoformat() if data.date_of_birth else "",
        },
    )
    await case.job.checkpoint({"scan_ref": session.scan_ref, "auth_token": session.auth_token})
    return session


async def _process(case: Case, session: Session, images: dict[str, bytes]) -> None:
    await case.providers.idenfy.process(
        session.auth_token,
        country=case.data.issuing_country or "",
        document_type=DOCUMENT_TYPES[case.data.document_type],
        images=images,
    )


# Deciding


def external_ref(job_id: str) -> str:
    """The job's id, or the start of its digest where iDenfy has no room for it."""
    return job_id if len(job_id) <= _REF_LENGTH else hashlib.sha256(job_id.encode()).hexdigest()[:_REF_LENGTH]


def outcome(overall: str) -> Status:
    """What a session's final state means. A human decides whatever is neither approved nor denied."""
    match overall:
        case "APPROVED":
            return Status.APPROVED
        case "DENIED":
            return Status.REJECTED
        case "ACTIVE" | "EXPIRED" | "DELETED" | "ARCHIVED" | "EXPIRED-DELETED":
            return Status.EXPIRED
        case _:
            return Status.PENDING_REVIEW
