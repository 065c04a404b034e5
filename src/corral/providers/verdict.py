"""How an answer is judged: pure values, and the rule that holds where a provider has no rule of its own.

Every provider module has a `classify(Answer) -> Verdict`, tested as a table. `raise_for` turns a verdict
into the error that steers the job.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

from corral.providers.errors import ProviderMisconfigured, ProviderPermanent, ProviderRetryable

#: Seconds; a provider that asks for a longer wait gets this one, so that a wrong header cannot park a job.
MAX_RETRY_AFTER = 3600.0

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Kind(Enum):
    """What to do about an answer."""

    OK = "ok"
    RETRY = "retry"
    PERMANENT = "permanent"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is the decoded JSON, or None.

    retry_after: seconds of a Retry-After, 0 if not said.
    reset_after: seconds until the moment in X-RateLimit-Reset, 0 if not said; good answers have it, too.
    headers: their names are lower case, or in any case where the mapping does not mind.
    """

    status: int
    body: Any = None
    retry_after: float = 0.0
    reset_after: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """The string under `key` of a JSON object, or ''."""
        value = self.body.get(key) if isinstance(self.body, Mapping) else None
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement. `code` is the provider's own word for it; `detail` is its message, still unredacted."""

    kind: Kind
    code: str
    detail: str = ""
    after: float = 0.0


Classify = Callable[[Answer], Verdict]

OK = Verdict(Kind.OK, "ok")


def safe_code(value: str, status: int) -> str:
    """`value` if it looks like an error code, else 'HTTP <status>'."""
    return value if _CODE.fullmatch(value) else f"HTTP {status}"


def by_status(answer: Answer, code: str = "", detail: str = "") -> Verdict:
    """The rule for a provider that says nothing better: its HTTP status alone."""
    status = answer.status
    code = safe_code(code, status)
    if 200 <= status < 300:
        return OK
    if status in (401, 403):
        return Verdict(Kind.MISCONFIGURED, code, detail)
    if status in (408, 425, 429) or (status >= 500 and status not in (501, 505)):
        return Verdict(Kind.RETRY, code, detail, answer.retry_after)
    return Verdict(Kind.PERMANENT, code, detail)


def parse_retry_after(value: str | None, now: datetime) -> float:
    """Seconds from a Retry-After header (a number or an HTTP date), at most one hour; 0 if unreadable."""
    if not value:
        return 0.0
    value = value.strip()
    if value.isascii() and value.isdigit():
        # A digit string may be longer than a float holds; past four digits it is over the cap anyway.
        return min(float(value[:9]), MAX_RETRY_AFTER)
    when = parse_date(value)
    return min(max((when - now).total_seconds(), 0.0), MAX_RETRY_AFTER) if when else 0.0


def parse_date(value: str | None) -> datetime | None:
    """An HTTP date; None if unreadable."""
    try:
        when = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def parse_reset(value: str | None, now: datetime) -> float:
    """Seconds from `now` to an epoch time (X-RateLimit-Reset), at most one hour; 0 if unreadable."""
    value = (value or "").strip()
    if not (value.isascii() and value.isdigit()):
        return 0.0
    return min(max(float(value[:12]) - now.timestamp(), 0.0), MAX_RETRY_AFTER)


def raise_for(provider: str, verdict: Verdict, reason: str) -> None:
    """Raise the error of this verdict; return for OK. `reason` is redacted already."""
    match verdict.kind:
        case Kind.OK:
            return
        case Kind.RETRY:
            raise ProviderRetryable(provider, reason, code=verdict.code, after=verdict.after)
        case Kind.PERMANENT:
            raise ProviderPermanent(provider, reason, code=verdict.code)
        case Kind.MISCONFIGURED:
            raise ProviderMisconfigured(provider, reason, code=verdict.code)
