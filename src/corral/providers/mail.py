"""A message as every mail provider takes it, and what every mail provider can do. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Address:
    """A mail address, and the name before it."""

    email: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """One message of one job.

    template: the provider's own template by id; `subject`, `text` and `html` are then empty.
    variables: what the provider's template is filled with.
    message_id: the whole `Message-ID`, with its angle brackets; the same for every attempt of a job.
    job_id: goes along as the provider's metadata, so that its events can be matched.
    """

    sender: Address
    to: tuple[Address, ...]
    message_id: str
    job_id: str
    subject: str = ""
    text: str = ""
    html: str = ""
    template: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    reply_to: Address | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


class MailProvider(Protocol):
    """A service that sends mail."""

    #: What errors, logs and results call it: sendgrid, mailgun, smtp.
    name: str

    async def send(self, mail: Mail) -> str:
        """Hand a message over, once. Returns the provider's own id of it. Raises the four provider errors.

        `ProviderAmbiguous` says that it may have been taken.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
