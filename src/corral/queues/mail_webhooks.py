"""The mail providers' event webhooks: verified, and what they say about an address kept for the next message.

Guarantees: nothing happens for a forged or a late webhook, and a Mailgun token counts once. What a webhook
asks for has happened when the call returns; if it raises, the provider's next try does it. Adding an address
twice is harmless. No address and no token is logged.

Options: SENDGRID_WEBHOOK_KEY, MAILGUN_WEBHOOK_KEY, REDIS_URL, CORRAL_PREFIX.
Emits `mail_events` (info: provider, counts by kind, suppressed) and `mail_webhook_replayed` (warning).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping

import structlog

from corral.mail.suppression import SuppressionList
from corral.mail.tokens import Tokens
from corral.providers import mailgun_events, sendgrid_events
from corral.providers.mail_events import MailEvent, suppression_reason
from corral.settings import Settings

log = structlog.get_logger(__name__)


class MailWebhooks:
    """Takes webhooks as they came: raw body and headers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._suppression = SuppressionList(settings)
        self._tokens = Tokens(settings)

    async def take_sendgrid(self, raw: bytes, headers: Mapping[str, str]) -> None:
        """A batch of SendGrid's events. Raises WebhookRejected, RedisUnavailable."""
        lower = {name.lower(): value for name, value in headers.items()}
        events = sendgrid_events.read_events(
            raw,
            lower.get(sendgrid_events.SIGNATURE_HEADER.lower(), ""),
            lower.get(sendgrid_events.TIMESTAMP_HEADER.lower(), ""),
            sendgrid_events.webhook_key(self._settings),
            time.time(),
        )
        await self._act_on("sendgrid", events)

    async def take_mailgun(self, raw: bytes) -> None:
        """One of Mailgun's events. Raises WebhookRejected, RedisUnavailable."""
        signed = mailgun_events.read_webhook(raw, mailgun_events.webhook_key(self._settings), time.time())
        # Also of an event that is of no concern: its signature would serve for another event.
        async with self._tokens.once(signed.token, signed.expires_in) as new:
            if not new:
                log.warning("mail_webhook_replayed", provider="mailgun")
            elif signed.event is not None:
                await self._act_on("mailgun", [signed.event])

    async def _act_on(self, provider: str, events: Iterable[MailEvent]) -> None:
        counts: Counter[str] = Counter()
        suppressed = 0
        for event in events:
            counts[event.kind.value] += 1
            reason = suppression_reason(event)
            if reason is not None:
                await self._suppression.add(event.address, reason)
                suppressed += 1
        if counts:
            log.info("mail_events", provider=provider, counts=dict(counts), suppressed=suppressed)
