"""The channel `webhook`: a signed POST as Standard Webhooks describes it, for tools of one's own.

The message id is the same at every try of a notice, so a receiver can tell a repeat.

Options: CORRAL_ALERT_WEBHOOK_URL, CORRAL_ALERT_WEBHOOK_SECRET (else CORRAL_WEBHOOK_SECRET).
"""

from __future__ import annotations

from typing import Any

from corral.data import encode
from corral.observe.alerts.notice import Notice, dedup_key, rfc3339
from corral.providers.standard_webhooks import WebhookSender

_TYPES = {
    "fired": "alert.fired",
    "still": "alert.still_firing",
    "resolved": "alert.resolved",
    "test": "alert.test",
}


class WebhookChannel:
    """Sends to one endpoint."""

    name = "webhook"

    def __init__(self, sender: WebhookSender, url: str, prefix: str) -> None:
        self._sender = sender
        self._url = url
        self._prefix = prefix

    async def send(self, notice: Notice) -> str:
        """One POST."""
        return str(await self._sender.send(self._url, notice.id, encode(message(notice, self._prefix))))

    async def close(self) -> None:
        """Close the connections."""
        await self._sender.close()


def message(notice: Notice, prefix: str) -> dict[str, Any]:
    """The body. `key` is the same for an alert's beginning and its end."""
    return {
        "type": _TYPES[notice.kind],
        "timestamp": rfc3339(notice.at),
        "data": {
            "key": dedup_key(prefix, notice),
            "prefix": prefix,
            "rule": notice.rule,
            "subject": notice.subject,
            "severity": notice.severity,
            "title": notice.title,
            "summary": notice.summary,
            "advice": notice.advice,
            "value": notice.value,
            "firesAbove": notice.fire,
            "firedAt": rfc3339(notice.fired_at),
        },
    }
