"""A message as MIME: headers, plain text and HTML as alternatives, attachments. Pure.

Guarantees: seven-bit clean, so that every mail server takes it unchanged; names and subjects of any language
are encoded; the addresses of the envelope are those of the headers. What `mail.refuse_unsafe` lets through
cannot add a header.
Limits: an address whose part before the @ is not ASCII is refused; few servers take one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email import headerregistry, policy
from email.message import EmailMessage
from email.utils import format_datetime

from corral.providers.mail import Address, Attachment, Mail

_SEVEN_BIT = policy.SMTP.clone(cte_type="7bit")

_MEDIA_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]+)/([a-z0-9!#$&^_.+-]+)")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message with its envelope."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


def letter(mail: Mail, now: datetime) -> Letter:
    """The letter of a message, dated `now`. Raises ValueError for an address that cannot be in ASCII."""
    sender, recipients = _ascii_domain(mail.sender), tuple(_ascii_domain(address) for address in mail.to)
    reply_to = _ascii_domain(mail.reply_to) if mail.reply_to else None
    message = EmailMessage(policy=_SEVEN_BIT)
    message["From"] = _mailbox(sender)
    message["To"] = [_mailbox(address) for address in recipients]
    if reply_to:
        message["Reply-To"] = _mailbox(reply_to)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = mail.message_id
    for name, value in mail.headers.items():
        message[name] = value
    _fill(message, mail.text, mail.html)
    _attach(message, mail.attachments)
    return Letter(sender.email, tuple(a.email for a in recipients), message.as_bytes())


def _fill(message: EmailMessage, text: str, html: str) -> None:
    if text or not html:
        message.set_content(text)
        if html:
            message.add_alternative(html, subtype="html")
    else:
        message.set_content(html, subtype="html")


def _attach(message: EmailMessage, attachments: Iterable[Attachment]) -> None:
    for attachment in attachments:
        match = _MEDIA_TYPE.match(attachment.content_type.lower())
        kind, subtype = match.groups() if match else ("application", "octet-stream")
        if kind in ("multipart", "message"):
            # Those have a structure of their own, which a file's bytes are not.
            kind, subtype = "application", "octet-stream"
        message.add_attachment(attachment.content, maintype=kind, subtype=subtype, filename=attachment.name)


def _ascii_domain(address: Address) -> Address:
    local, _, domain = address.email.rpartition("@")
    if not local.isascii():
        raise ValueError("the part before the @ is not ASCII")
    if domain.isascii():
        return address
    return Address(f"{local}@{domain.encode('idna').decode()}", address.name)


def _mailbox(address: Address) -> headerregistry.Address:
    local, _, domain = address.email.rpartition("@")
    return headerregistry.Address(address.name, local, domain)
