"""What became of a message after a provider took it, in one form for all providers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class MailEventKind(StrEnum):
    """What happened to a message."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    """The receiving server wants it later; the provider tries again."""

    BOUNCED = "bounced"
    """The receiving server refused it."""

    DROPPED = "dropped"
    """The provider itself did not send it, e.g. because the address is on its own suppression list."""

    COMPLAINED = "complained"
    """The reader called it spam."""

    UNSUBSCRIBED = "unsubscribed"


@dataclass(frozen=True, slots=True)
class MailEvent:
    """One event of one recipient.

    job_id: the job that sent the message; '' if it was not sent by one.
    permanent: of a bounce or a drop, whether a later message would fare no better.
    """

    kind: MailEventKind
    address: str
    job_id: str = ""
    permanent: bool = False


def suppression_reason(event: MailEvent) -> str | None:
    """Why nothing more is written to the event's address, in one word; None if nothing speaks against it."""
    match event.kind:
        case MailEventKind.COMPLAINED:
            return "complaint"
        case MailEventKind.UNSUBSCRIBED:
            return "unsubscribe"
        case MailEventKind.BOUNCED if event.permanent:
            return "bounce"
        case MailEventKind.DROPPED if event.permanent:
            return "dropped"
    return None


def text_or_empty(value: Any) -> str:
    """A job id as it was sent; '' for what cannot be one of ours."""
    return value if isinstance(value, str) else ""
