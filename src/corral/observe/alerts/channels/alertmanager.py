"""The channel `alertmanager`: POST /api/v2/alerts of Prometheus's Alertmanager, which groups and routes.

An Alertmanager forgets an alert that is not said again, so what fires is said again every minute (`remind`),
each time with an `endsAt` LASTS_SECONDS ahead: if Corral is gone, its alerts end by themselves there.
Limits: one address; in a cluster of Alertmanagers each should be told, so name the one that is always there.
A URL with a user name in it is refused.

Options: CORRAL_ALERT_ALERTMANAGER_URL, with a path if it is served under one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from corral.observe.alerts.channels.posting import JsonPoster
from corral.observe.alerts.notice import Notice, rfc3339

PATH = "/api/v2/alerts"

#: Five reminders, as Prometheus itself allows for lost ones.
LASTS_SECONDS = 300.0


class AlertmanagerChannel:
    """Sends to one Alertmanager. `source_url`: where an alert's page leads back to."""

    name = "alertmanager"

    def __init__(self, poster: JsonPoster, prefix: str, source_url: str) -> None:
        self._poster = poster
        self._prefix = prefix
        self._source_url = source_url
        #: A reminder that overtakes, or is overtaken by, the end of an alert would open it again.
        self._turn = asyncio.Lock()

    async def send(self, notice: Notice) -> str:
        """One POST."""
        async with self._turn:
            return await self._poster.post([alert(notice, self._prefix, self._source_url)])

    async def remind(self, firing: Sequence[Notice]) -> None:
        """One POST for all."""
        if not firing:
            return
        async with self._turn:
            await self._poster.post([alert(notice, self._prefix, self._source_url) for notice in firing])

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def alert(notice: Notice, prefix: str, source_url: str) -> dict[str, Any]:
    """One alert. Its labels are the same from its beginning to its end: they are what it is known by."""
    ends_at = notice.at if notice.kind == "resolved" else notice.at + LASTS_SECONDS
    if notice.kind == "test":
        ends_at = notice.at + 60
    return {
        "labels": {
            "alertname": "Corral" + "".join(part.capitalize() for part in notice.rule.split("-")),
            "service": "corral",
            "prefix": prefix,
            "rule": notice.rule,
            "subject": notice.subject,
            "severity": notice.severity,
        },
        "annotations": {"summary": notice.summary, "description": notice.advice or notice.title},
        "startsAt": rfc3339(notice.fired_at),
        "endsAt": rfc3339(ends_at),
        "generatorURL": source_url,
    }
