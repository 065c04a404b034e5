"""The channel `pagerduty`: its Events API v2.

An alert that fires is a `trigger`, its end a `resolve`, both with the same dedup_key, so an incident opens
and closes once, however often an event is sent. A test is a trigger of severity info and its resolve.

Options: CORRAL_ALERT_PAGERDUTY_KEY (the integration key), CORRAL_ALERT_PAGERDUTY_URL.
"""

from __future__ import annotations

from typing import Any, Literal

from corral.observe.alerts.channels.posting import JsonPoster
from corral.observe.alerts.notice import Notice, dedup_key, rfc3339

#: PagerDuty's own: characters of a summary.
_SUMMARY = 1_024


class PagerDutyChannel:
    """Sends events to one service."""

    name = "pagerduty"

    def __init__(self, poster: JsonPoster, key: str, prefix: str, client_url: str) -> None:
        self._poster = poster
        self._key = key
        self._prefix = prefix
        self._client_url = client_url

    async def send(self, notice: Notice) -> str:
        """One POST; two for a test."""
        if notice.kind == "resolved":
            return await self._post(notice, "resolve")
        answer = await self._post(notice, "trigger")
        return await self._post(notice, "resolve") if notice.kind == "test" else answer

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()

    async def _post(self, notice: Notice, action: Literal["trigger", "resolve"]) -> str:
        return await self._poster.post(event(notice, action, self._key, self._prefix, self._client_url))


def event(
    notice: Notice, action: Literal["trigger", "resolve"], key: str, prefix: str, client_url: str
) -> dict[str, Any]:
    """The body."""
    body: dict[str, Any] = {
        "routing_key": key,
        "event_action": action,
        "dedup_key": dedup_key(prefix, notice),
    }
    if action == "resolve":
        return body
    return body | {
        "client": "Corral",
        "client_url": client_url,
        "payload": {
            "summary": f"{notice.title}: {notice.summary}"[:_SUMMARY],
            "source": notice.subject,
            "severity": notice.severity,
            "timestamp": rfc3339(notice.at),
            "component": notice.subject,
            "group": prefix,
            "class": notice.rule,
            "custom_details": {
                "next": notice.advice,
                "value": notice.value,
                "fires_above": notice.fire,
                "fired_at": rfc3339(notice.fired_at),
            },
        },
    }
