"""The KYC flow at Onfido: applicant, documents, live photo, check, wait, outcome.

Guarantees: a check, which is what Onfido bills, is ordered once a job. A run that cannot know whether its
predecessor's order arrived looks among the applicant's checks for this job's tag.
Limits: applicants and documents cost nothing and cannot be looked up, so a crash between the call and its
checkpoint may leave one unused copy of one of them at Onfido.

Names: Onfido requires a first and a last name. A job without them gets "Unknown" and one made from the
userId, so that the document is checked on its own merits rather than against a name.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from corral.errors import SignalTimeout
from corral.providers.countries import ALPHA3
from corral.providers.onfido import DOCUMENT_BYTES, LIVE_PHOTO_BYTES, Check, Report, signal_name
from corral.queues.kyc_pictures import PHOTOGRAPHS, picture
from corral.queues.kyc_steps import Case, Decision
from corral.queues.kyc_types import DocumentType, KycJob, Status
from corral.queues.kyc_waits import Polling, next_wait

POLLING = Polling()

#: A job's document type as Onfido's document and id number types.
DOCUMENT_TYPES: dict[DocumentType, tuple[str, str]] = {
    "passport": ("passport", "passport"),
    "id_card": ("national_identity_card", "identity_card"),
    "driving_license": ("driving_licence", "driving_licence"),
}

#: A check in one of these states has its outcome.
ENDED = ("complete", "withdrawn")

#: Onfido's limit for a tag.
_TAG_LENGTH = 128

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9 _.-]")


async def verify_at_onfido(case: Case) -> Decision:
    """Run the flow, or go on with it. Raises provider errors, and what `wait_for` raises to suspend."""
    check_id = case.stored("check_id")
    if check_id is None:
        applicant_id = await _applicant(case)
        document_ids = await _documents(case, applicant_id)
        with_face = await _live_photo(case, applicant_id)
        check_id = await _check(case, applicant_id, document_ids, with_face=with_face)
    await case.submitted(check_id)
    return Decision(await _wait(case, check_id), check_id)


# Submitting


async def _applicant(case: Case) -> str:
    stored = case.stored("applicant_id")
    if stored is not None:
        return str(stored)
    data = case.data
    first_name, last_name = names(data)
    applicant_id = await case.providers.onfido.create_applicant(
        first_name=first_name,
        last_name=last_name,
        date_of_birth=data.date_of_birth.isoformat() if data.date_of_birth else None,
        id_numbers=[{"type": DOCUMENT_TYPES[data.document_type][1], "value": data.document_number}],
    )
    await case.job.checkpoint({"applicant_id": applicant_id})
    return applicant_id


async def _documents(case: Case, applicant_id: str) -> list[str]:
    data = case.data
    ids = []
    for side, url in (("front", data.front_image_url), ("back", data.back_image_url)):
        if url is None:
            continue
        document_id = case.stored(f"document_{side}")
        if document_id is None:
            image = await picture(
                case.providers.fetcher, url, sizes=DOCUMENT_BYTES, types=(*PHOTOGRAPHS, "application/pdf")
            )
            document_id = await case.providers.onfido.upload_document(
                applicant_id,
                document_type=DOCUMENT_TYPES[data.document_type][0],
                side=side,
                content=image.content,
                content_type=image.content_type,
                issuing_country=ALPHA3[data.issuing_country] if data.issuing_country else None,
            )
            await case.job.checkpoint({f"document_{side}": document_id})
        ids.append(document_id)
    return ids


async def _live_photo(case: Case, applicant_id: str) -> bool:
    url = case.data.selfie_image_url
    if url is None:
        return False
    if case.stored("live_photo") is None:
        image = await picture(case.providers.fetcher, url, sizes=LIVE_PHOTO_BYTES)
        photo_id = await case.providers.onfido.upload_live_photo(
            applicant_id, content=image.content, content_type=image.content_type
        )
        await case.job.checkpoint({"live_photo": photo_id})
    return True


async def _check(case: Case, applicant_id: str, document_ids: Sequence[str], *, with_face: bool) -> str:
    onfido, tag = case.providers.onfido, job_tag(case.job.id)
    check_id = None
    if case.stored("check_attempt") is not None:
        # An earlier run was about to order, or had ordered, and its checkpoint does not say which.
        check_id = next((c.id for c in await onfido.find_checks(applicant_id) if tag in c.tags), None)
    if check_id is None:
        await case.job.checkpoint({"check_attempt": case.job.attempt})
        check = await onfido.create_check(
            applicant_id,
            report_names=["document", "facial_similarity_photo"] if with_face else ["document"],
            document_ids=document_ids,
            tags=[tag, f"user:{case.data.user_id}"[:_TAG_LENGTH]],
        )
        check_id = check.id
    await case.job.checkpoint({"check_id": check_id, "submitted_at": case.clock()})
    return check_id


# Waiting


async def _wait(case: Case, check_id: str) -> Status:
    polls = int(case.stored("polls") or 0)
    submitted_at = float(case.stored("submitted_at"))
    signal = signal_name(check_id)
    if case.stored("signalled"):
        # The signal stays delivered, so waiting for it again would not wait. Nobody sends this one.
        signal += ":poll"
    while True:
        wait = next_wait(POLLING, polls, case.clock() - submitted_at)
        if wait is None:
            return Status.EXPIRED
        signalled = True
        try:
            await case.job.wait_for(signal, timeout=wait)
        except SignalTimeout:
            signalled = False
        check = await case.providers.onfido.get_check(check_id)
        if check.status in ENDED:
            reports = await case.providers.onfido.get_reports(check_id) if check.status == "complete" else []
            return outcome(check, reports, case.data.document_number)
        polls += 1
        if signalled:
            # A reopened check, or an answer that lags behind its webhook.
            signal = signal_name(check_id) + ":poll"
            await case.job.checkpoint({"polls": polls, "signalled": True})
        else:
            await case.job.checkpoint({"polls": polls})


# Deciding


def names(data: KycJob) -> tuple[str, str]:
    """First and last name for Onfido; neutral ones if the job has none."""
    neutral = _NOT_IN_NAMES.sub("", data.user_id)[:60].strip()
    if not neutral:
        neutral = hashlib.sha256(data.user_id.encode()).hexdigest()[:12]
    return data.first_name or "Unknown", data.last_name or neutral


def job_tag(job_id: str) -> str:
    """The tag by which a job finds its check again; a long id becomes its digest."""
    tag = f"job:{job_id}"
    return tag if len(tag) <= _TAG_LENGTH else f"job:{hashlib.sha256(job_id.encode()).hexdigest()}"


def outcome(check: Check, reports: Sequence[Report], document_number: str) -> Status:
    """What a finished check means. A human decides whatever is neither clear nor rejected."""
    if check.status == "withdrawn":
        return Status.EXPIRED
    if any(report.sub_result == "rejected" for report in reports):
        return Status.REJECTED
    if check.result != "clear":
        return Status.PENDING_REVIEW
    seen = {
        normal(str(number["value"]))
        for report in reports
        for number in report.properties.get("document_numbers") or []
        if isinstance(number, dict) and number.get("value")
    }
    # A genuine document with another number is not the one that the user claimed.
    return Status.APPROVED if not seen or normal(document_number) in seen - {""} else Status.PENDING_REVIEW


def normal(number: str) -> str:
    """A document number without what people and machines write differently: case, spaces, signs, width.

    Letters and digits of every script count; a number that has none is the empty text.
    """
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", number).upper()))
