"""The queue `email`: one mail, from a template in the project or at the provider.

    suppression list → template, attachments → progress 50 → provider (or a fallback) → progress 100

Guarantees: 100 mails a minute over all workers together. A mail that a provider took is not sent again; one
that may have been taken is sent again or not at all, as the job says (`email_sending`). Nobody on the
suppression list is written to. No address, name, subject or value of the data is in a log line, a failure
reason or the result.
Limits: "sent" is what the provider says; a bounce comes later, by its webhook. All recipients of a job are in
one message and see each other: for separate mails add a job each.

Options: CORRAL_MAIL_FROM, CORRAL_MAIL_TEMPLATES, CORRAL_MAIL_FALLBACK, CORRAL_MAIL_DELIVERY,
CORRAL_MAIL_SUPPRESSED, CORRAL_FETCH_ALLOW, and the providers' own.
Emits `email_sent` (info), `email_suppressed` (info), and what `email_sending` emits.
"""

from __future__ import annotations

from typing import cast

import structlog

from corral.context import JobContext
from corral.errors import Unrecoverable
from corral.mail.addresses import parse_address
from corral.mail.suppression import SuppressionList
from corral.policy import Priority, RateLimit, Retry
from corral.providers import Providers, providers
from corral.providers.mail import Address, MailProvider
from corral.queue import Queue
from corral.queues.email_message import compose, recipients_of
from corral.queues.email_sending import Taken, hand_over, route_of, taken
from corral.queues.email_types import Delivery, EmailJob, EmailResult, Provider
from corral.settings import Settings

log = structlog.get_logger(__name__)

#: The rate is the bound; this many wait for slow providers meanwhile, each with its attachments in memory.
CONCURRENCY = 10

queue = Queue(
    "email",
    retry=Retry(attempts=5, backoff="exponential", delay=10, jitter=0.2),
    timeout=120,
    priority=Priority.MEDIUM,
    rate_limit=RateLimit(100, per=60),
    concurrency=CONCURRENCY,
)


class AllSuppressed(Unrecoverable):
    """Every recipient of the mail is on the suppression list. See `corral mail suppressed`."""


@queue.job("send")
async def send(job: JobContext, data: EmailJob) -> EmailResult:
    """Send one mail; run again from the top after a failure."""
    settings = Settings.load()
    if (before := taken(job.checkpoints)) is not None:
        return await _ended(job, before)
    route = route_of(
        job.checkpoints,
        data.provider,
        settings.mail_fallback,
        providers_template=data.template_id is not None,
        delivery=data.delivery or cast("Delivery", settings.mail_delivery),
    )
    recipients = await _recipients(job, data, settings)
    if not recipients:
        return await _all_suppressed(job, data, settings)
    outside = await providers()
    mail = await compose(
        data,
        recipients,
        job_id=job.id,
        enqueued_at=job.enqueued_at,
        settings=settings,
        fetcher=outside.fetcher,
    )
    await job.progress(50)
    done = await hand_over(job, mail, route, _clients(outside, route.providers))
    return await _ended(job, done)


async def _recipients(job: JobContext, data: EmailJob, settings: Settings) -> list[Address]:
    addresses = [parse_address(text).email for text in data.recipients]
    suppressed = await SuppressionList(settings).reasons(addresses)
    recipients = recipients_of(data, suppressed)
    if suppressed:
        reasons = ", ".join(sorted(set(suppressed.values())))
        log.info("email_suppressed", job_id=job.id, suppressed=len(suppressed), recipients=len(recipients))
        await job.log(f"{len(suppressed)} suppressed ({reasons}), {len(recipients)} to write to")
    return recipients


async def _all_suppressed(job: JobContext, data: EmailJob, settings: Settings) -> EmailResult:
    if settings.mail_suppressed == "fail":
        raise AllSuppressed
    await job.progress(100)
    return EmailResult(provider=data.provider, message_id="", outcome="suppressed", recipients=0)


async def _ended(job: JobContext, done: Taken) -> EmailResult:
    await job.progress(100)
    log.info("email_sent", job_id=job.id, provider=done.provider, recipients=done.recipients)
    return EmailResult(
        # The checkpoint has only what `route_of` named.
        provider=cast("Provider", done.provider),
        message_id=done.message_id,
        outcome="sent",
        recipients=done.recipients,
    )


def _clients(outside: Providers, names: tuple[str, ...]) -> dict[str, MailProvider]:
    made: dict[str, MailProvider] = {}
    for name in names:
        match name:
            case "sendgrid":
                made[name] = outside.sendgrid
            case "mailgun":
                made[name] = outside.mailgun
            case _:
                made[name] = outside.smtp
    return made
