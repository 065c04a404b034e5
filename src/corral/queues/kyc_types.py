"""What a KYC job carries and returns, checked where it enters. Pure but for the date of today.

Wire names are camelCase. A wrong job is refused at the edge with the path of the wrong field, so that a
typing error costs no attempt and no fee.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from corral.providers.countries import ALPHA3

Outcome = Literal["approved", "rejected", "pending_review", "expired"]
DocumentType = Literal["passport", "id_card", "driving_license"]

#: Onfido refuses a name with one of these.
_NAME = Annotated[str, Meta(min_length=1, max_length=100, pattern=r'^[^!#$%*=<>;{}"]*$')]
_URL = Annotated[str, Meta(max_length=2048, pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#]+[^\s]*$")]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

#: iDenfy's limit for its clientId; a job's userId goes there.
_IDENFY_CLIENT_ID = 100


class Status(Enum):
    """Where a verification stands in Supabase. All but `PROCESSING` and `FAILED` end it."""

    PROCESSING = "processing"
    APPROVED = "approved"
    REJECTED = "rejected"
    PENDING_REVIEW = "pending_review"
    EXPIRED = "expired"
    FAILED = "failed"


class KycJob(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A document to verify.

    Fields from `first_name` on are optional. Without names Onfido gets neutral ones (see `kyc_onfido`);
    without a country iDenfy gets CORRAL_KYC_COUNTRY; without a selfie the document alone is checked.
    """

    user_id: Annotated[str, Meta(min_length=1, max_length=255)]
    document_type: DocumentType
    document_number: Annotated[str, Meta(min_length=1, max_length=50)]
    front_image_url: _URL
    back_image_url: _URL | None = None
    provider: Literal["onfido", "idenfy"]
    first_name: _NAME | None = None
    last_name: _NAME | None = None
    date_of_birth: date | None = None
    issuing_country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | None = None
    selfie_image_url: _URL | None = None

    def __post_init__(self) -> None:
        for name in ("user_id", "document_number", "first_name", "last_name"):
            value = getattr(self, name)
            if value is not None and (not value.strip() or _CONTROL.search(value)):
                raise ValueError(f"{_wire(name)} is blank or has control characters")
        # A day of grace: it is tomorrow already somewhere.
        if self.date_of_birth is not None and self.date_of_birth > datetime.now(UTC).date() + timedelta(
            days=1
        ):
            raise ValueError("dateOfBirth is in the future")
        if self.issuing_country is not None and self.issuing_country not in ALPHA3:
            raise ValueError("issuingCountry is not an ISO 3166-1 alpha-2 code")
        if self.provider == "idenfy":
            if len(self.user_id) > _IDENFY_CLIENT_ID or not self.user_id.isascii():
                raise ValueError("userId has to be ASCII and at most 100 characters for idenfy")
            if self.document_type != "passport" and not self.back_image_url:
                raise ValueError(f"backImageUrl is required for idenfy and {self.document_type}")


class KycResult(msgspec.Struct, frozen=True, rename="camel"):
    """What the job returns. `success`: the verification came to an outcome, which is `status`."""

    success: bool
    status: Outcome
    completed_at: str
    """ISO 8601, UTC."""


class KycReview(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A provider's word on a verification whose job does not wait for it any more.

    said: the outcome in it, where it has one. It is asked for again all the same.
    """

    provider: Literal["onfido", "idenfy"]
    provider_ref: Annotated[str, Meta(min_length=1, max_length=200)]
    said: Outcome | None = None


class KycReviewed(msgspec.Struct, frozen=True, rename="camel"):
    """What came of it: whether the row was changed, and its status; None if there is no such row."""

    changed: bool
    status: str | None


def _wire(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
