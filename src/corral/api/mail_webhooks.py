"""Signed events of the mail providers: POST /webhooks/sendgrid and /webhooks/mailgun, without a key.

The signature is the caller's proof, checked over the raw body before anything is read from it. 401 tells a
forger nothing; the log says why (`webhook_rejected`, with the provider and the reason, never the body).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import structlog
from litestar import Request, post
from litestar.di import NamedDependency

from corral.api.lookup import answering
from corral.api.problems import Refused
from corral.api.service import Service
from corral.api.webhooks import REJECTED
from corral.providers.errors import WebhookRejected

log = structlog.get_logger(__name__)

#: Whose messages these events are about. Without it the routes do not exist.
MAIL_QUEUE = "email"

#: Seconds for a whole batch: SendGrid sends up to thousands of events at once, and waits longer than this.
BATCH_SECONDS = 5.0


@post("/webhooks/sendgrid", status_code=204)
async def sendgrid(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> None:
    """A batch of SendGrid's events."""
    await _receive("sendgrid", service.mail.take_sendgrid(await request.body(), request.headers))


# Mailgun repeats what is not answered with exactly 200.
@post("/webhooks/mailgun", status_code=200)
async def mailgun(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> None:
    """One of Mailgun's events."""
    await _receive("mailgun", service.mail.take_mailgun(await request.body()))


async def _receive(provider: str, taken: Awaitable[None]) -> None:
    try:
        async with answering(BATCH_SECONDS):
            await taken
    except WebhookRejected as error:
        log.warning("webhook_rejected", provider=provider, reason=str(error))
        raise Refused(REJECTED) from None
