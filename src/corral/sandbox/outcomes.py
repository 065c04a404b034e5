"""What the sandbox decides about a person. Pure.

The sender chooses, with a word at the end of the document number or as first name. A verification in review
is resolved by `POST /decisions {"provider": "onfido", "ref": "<id at the provider>", "outcome": "APPROVE"}`.

| word | outcome |
|---|---|
| REJECT | rejected |
| REVIEW | needs a human: Onfido `consider` + `caution`, iDenfy SUSPECTED |
| EXPIRE | the check is withdrawn, the session expires |
| MISMATCH | the document is fine but bears another number |
| SILENT | approved, but no webhook is sent: only a poll finds out |
| NEVER | stays in progress |
| BLUR | the photograph is refused at upload |
| anything else | approved |
"""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """What becomes of a check."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"
    REVIEW = "REVIEW"
    EXPIRE = "EXPIRE"
    MISMATCH = "MISMATCH"
    SILENT = "SILENT"
    NEVER = "NEVER"
    BLUR = "BLUR"


def outcome(document_number: str, first_name: str = "") -> Outcome:
    """The outcome that this person's data asks for."""
    number, name = document_number.strip().upper(), first_name.strip().upper()
    for candidate in Outcome:
        if number.endswith(candidate.value) or name == candidate.value:
            return candidate
    return Outcome.APPROVE
