"""An e-mail job as the message that a provider gets: sender, recipients, id, content, attachments.

Guarantees: the Message-ID is the same for every attempt of a job. Attachments come through the guarded
fetcher, have names that lead no path and no header astray, and at most 20 MB together.
Limits: attachments are in memory while the job runs.

Options: CORRAL_MAIL_FROM, CORRAL_MAIL_TEMPLATES, CORRAL_FETCH_ALLOW.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from corral.errors import InvalidInput
from corral.extras import needs
from corral.mail.addresses import comparable, parse_address
from corral.providers.errors import FetchRefused, ProviderMisconfigured
from corral.providers.fetch import Fetched, Fetcher
from corral.providers.http import fail
from corral.providers.mail import Address, Attachment, Mail
from corral.providers.sniff import UNKNOWN
from corral.queues.email_types import AttachmentLink, EmailJob
from corral.settings import Settings

if TYPE_CHECKING:
    from corral.mail.render import Renderer

#: Bytes of all attachments of a mail. Base64 makes 27 MB of them; SendGrid takes 30, Mailgun 25 without it.
MAX_ATTACHED_BYTES = 20 * 1000 * 1000

#: The sender of sandbox mode, where none is set. Nobody answers there: example.com is reserved.
SANDBOX_SENDER = "Corral <no-reply@example.com>"

#: Characters of an attachment's name that was taken from a URL.
_NAME_LENGTH = 100


async def compose(
    data: EmailJob,
    recipients: Sequence[Address],
    *,
    job_id: str,
    enqueued_at: float,
    settings: Settings,
    fetcher: Fetcher,
) -> Mail:
    """The message of a job.

    Raises TemplateFault, ProviderMisconfigured (no sender, no such folder), and what a fetch raises.
    """
    sender = sender_of(data, settings)
    subject, text, html = data.subject or "", "", ""
    if data.template is not None:
        # In a thread: a template that loops for long must not hold up the other jobs.
        rendered = await asyncio.to_thread(
            _renderer(settings).render, data.template, data.data, subject=subject
        )
        subject, text, html = rendered.subject, rendered.text, rendered.html
    return Mail(
        sender=sender,
        to=tuple(recipients),
        message_id=message_id(job_id, enqueued_at, sender.email),
        job_id=job_id,
        subject=subject,
        text=text,
        html=html,
        template=data.template_id or "",
        variables=data.data if data.template_id else {},
        reply_to=parse_address(data.reply_to) if data.reply_to else None,
        attachments=await attach(data.attachments, fetcher),
        tags=tuple(dict.fromkeys(data.tags)),  # SendGrid wants each once
    )


def _renderer(settings: Settings) -> Renderer:
    # Imported here: who adds a mail, over HTTP say, fills no template.
    with needs("mail", "A mail's template"):
        from corral.mail.render import renderer  # noqa: PLC0415
        from corral.mail.templates import TemplateUnknown  # noqa: PLC0415
    try:
        return renderer(settings.mail_templates)
    except TemplateUnknown as error:
        # The folder, not a template: every job would fail until the setting is right.
        fail(ProviderMisconfigured("mail", str(error)))


async def attach(links: Sequence[AttachmentLink], fetcher: Fetcher) -> tuple[Attachment, ...]:
    """Fetch one after the other, each within what the others left. Raises what a fetch raises.

    Not all at once: ten files of the largest size would be in memory before the sum is known.
    """
    files: list[Fetched] = []
    left = MAX_ATTACHED_BYTES
    for link in links:
        if left == 0:
            raise FetchRefused("the attachments have more than 20 MB together")
        files.append(await fetcher.fetch(link.url, max_bytes=left, accept="*/*"))
        left -= len(files[-1].content)
    names = unlike(attachment_name(link) for link in links)
    return tuple(
        Attachment(name, media_type(name, file), file.content)
        for name, file in zip(names, files, strict=True)
    )


# Decisions


def recipients_of(data: EmailJob, suppressed: Mapping[str, str]) -> list[Address]:
    """Whom to write to: each mailbox once, without those that are suppressed (by their bare address)."""
    first: dict[str, Address] = {}
    for address in map(parse_address, data.recipients):
        first.setdefault(comparable(address.email), address)
    return [address for address in first.values() if address.email not in suppressed]


def sender_of(data: EmailJob, settings: Settings) -> Address:
    """Who it comes from. Raises ProviderMisconfigured: without a sender no mail can go out."""
    if data.from_ is not None:
        return parse_address(data.from_)
    text = settings.mail_from or (SANDBOX_SENDER if settings.sandbox else "")
    if not text:
        fail(ProviderMisconfigured("mail", "there is no sender; set CORRAL_MAIL_FROM"))
    try:
        return parse_address(text)
    except InvalidInput as error:
        fail(ProviderMisconfigured("mail", f"CORRAL_MAIL_FROM: {error}"))


def message_id(job_id: str, enqueued_at: float, sender: str) -> str:
    """`<job-id@domain>`, the same for every attempt.

    A number that the queue gave out is joined by the time of the enqueue (epoch ms): another Redis counts
    the same numbers, and mailboxes drop a mail whose id they have seen. An id that a header cannot hold is
    hashed.
    """
    local = job_id
    if job_id.isdecimal():
        local = f"{job_id}.{round(enqueued_at * 1000)}"
    elif not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", job_id):
        local = hashlib.sha256(job_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"<{local}@{sender.rpartition('@')[2]}>"


def attachment_name(link: AttachmentLink) -> str:
    """The given name, or the last part of the URL's path without what no file's name has."""
    if link.name is not None:
        return link.name
    last = unquote(urlsplit(link.url).path).rpartition("/")[2]
    cleaned = re.sub(r'[\x00-\x1f\x7f\u2028\u2029/\\:*?"<>|]+', "-", last).strip(" .-")
    return cleaned[-_NAME_LENGTH:] or "attachment"


def unlike(names: Iterable[str]) -> list[str]:
    """The same names, but a second `a.pdf` is `a-2.pdf`."""
    taken: dict[str, int] = {}
    found = []
    for name in names:
        number = taken[name.lower()] = taken.get(name.lower(), 0) + 1
        stem, dot, suffix = name.rpartition(".")
        if number == 1:
            found.append(name)
        else:
            found.append(f"{stem}-{number}.{suffix}" if dot and stem else f"{name}-{number}")
    return found


def media_type(name: str, file: Fetched) -> str:
    """What the bytes are, else what the name says: documents have no mark that `sniff` knows."""
    if file.content_type != UNKNOWN:
        return file.content_type
    guessed, encoding = mimetypes.guess_type(name)
    return guessed if guessed is not None and encoding is None else UNKNOWN
