"""What both mail stand-ins do with an accepted message: what the outbox shows, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from corral.sandbox.outbox import MAX_BODY, Outbox, masked_address


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message as a stand-in understood it. `attachments` are names and bytes."""

    sender: str
    to: tuple[str, ...]
    job_id: str
    message_id: str
    subject: str = ""
    text: str = ""
    html: str = ""
    template: str = ""
    variables: dict[str, Any] = field(default_factory=dict)
    attachments: tuple[tuple[str, bytes], ...] = ()
    tags: tuple[str, ...] = ()


def record(outbox: Outbox, provider: str, mail: Accepted) -> None:
    """Show a message in the outbox."""
    outbox.record(
        provider,
        "mail",
        to=[masked_address(address) for address in mail.to],
        sender=masked_address(mail.sender),
        job_id=mail.job_id,
        message_id=mail.message_id,
        subject=mail.subject,
        text=mail.text[:MAX_BODY],
        html=mail.html[:MAX_BODY],
        template=mail.template,
        variables=mail.variables,
        attachments=[{"name": name, "bytes": len(content)} for name, content in mail.attachments],
        tags=list(mail.tags),
    )


def events_of(address: str) -> tuple[str, ...]:
    """What becomes of a message to this address: `bounce…` bounces, `complain…` is called spam."""
    local = address.lower()
    if local.startswith("bounce"):
        return ("bounced",)
    if local.startswith("complain"):
        return ("delivered", "complained")
    return ("delivered",)
