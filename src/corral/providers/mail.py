"""A message as every mail provider takes it, and what every mail provider can do. Pure.

Guarantees: a message whose header values have a line break, or that names a header which the provider sets
itself, is refused before anything is sent (`refuse_unsafe`), by every provider alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from corral.providers.errors import ProviderPermanent

#: Headers that come from a message's own fields, or from the transport.
_RESERVED = frozenset(
    ("bcc", "cc", "date", "dkim-signature", "from", "message-id", "mime-version", "received", "reply-to",
     "return-path", "sender", "subject", "to")
)  # fmt: skip

#: Enough to keep a second address or a header out; whether it exists is the provider's to say.
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\\\[\]]+@[^\s@<>,;:\"()\\]+")

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,76}")


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


def refuse_unsafe(provider: str, mail: Mail) -> None:
    """Raise ProviderPermanent for a message that could smuggle headers, or that nobody would get.

    The reason names the field, never its value.
    """
    problem = next(_problems(mail), "")
    if problem:
        raise ProviderPermanent(provider, f"the message is refused: {problem}")


def private_values(mail: Mail) -> list[str]:
    """What of a message is personal, so that no reason and no log line repeats it."""
    people = [mail.sender, *mail.to, *([mail.reply_to] if mail.reply_to else [])]
    return [
        *(value for person in people for value in (person.email, person.name)),
        *(mail.subject, mail.text, mail.html),
        *(attachment.name for attachment in mail.attachments),
        *mail.headers.values(),
        *_texts(mail.variables),
    ]


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value; the names of its fields are the template's, not personal."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _problems(mail: Mail) -> Iterator[str]:
    if not mail.to:
        yield "it has no recipient"
    for name in mail.headers:
        if not _HEADER_NAME.fullmatch(name):
            yield "a header's name has characters that no header has"
        elif name.lower() in _RESERVED or name.lower().startswith("content-"):
            yield f"the header {name} is set by the message's own fields"
    for name, value in _header_values(mail):
        # A zero byte cuts a line short for whoever reads it as C does.
        if any(c in value for c in "\r\n\0"):
            yield f"{name} has a line break in it"
    for name, value in _header_values(mail):
        if name.endswith(".email") and not _ADDRESS.fullmatch(value):
            yield f"{name} is not a mail address"


def _header_values(mail: Mail) -> Iterator[tuple[str, str]]:
    """Everything that ends up in a header line, and what to call it."""
    reply_to = (mail.reply_to,) if mail.reply_to else ()
    for field_name, people in (("sender", (mail.sender,)), ("to", mail.to), ("reply_to", reply_to)):
        for address in people:
            yield f"{field_name}.email", address.email
            yield f"{field_name}.name", address.name
    yield "subject", mail.subject
    yield "message_id", mail.message_id
    yield "job_id", mail.job_id
    for tag in mail.tags:
        yield "a tag", tag
    for attachment in mail.attachments:
        yield "an attachment's name", attachment.name
        yield "an attachment's content_type", attachment.content_type
    for name, value in mail.headers.items():
        yield f"the header {name}", value
