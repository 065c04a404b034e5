"""The channel `log`: structured log lines.

Emits: alert_fired, alert_still_firing (error, warning or info, by the rule's severity), alert_resolved and
alert_test (info); rule, subject, summary, advice, value.
"""

from __future__ import annotations

import structlog

from corral.observe.alerts.notice import Notice

log = structlog.get_logger(__name__)

_EVENTS = {
    "fired": "alert_fired",
    "still": "alert_still_firing",
    "resolved": "alert_resolved",
    "test": "alert_test",
}
_LEVELS = {"critical": "error", "warning": "warning", "info": "info"}


class LogChannel:
    """Writes a line. It cannot fail."""

    name = "log"

    async def send(self, notice: Notice) -> str:
        """Write it."""
        level = _LEVELS[notice.severity] if notice.kind in ("fired", "still") else "info"
        fields: dict[str, object] = {
            "rule": notice.rule,
            "subject": notice.subject,
            "severity": notice.severity,
        }
        fields |= {"summary": notice.summary, "value": notice.value}
        if notice.advice:
            fields["advice"] = notice.advice
        getattr(log, level)(_EVENTS[notice.kind], **fields)
        return "written"

    async def close(self) -> None:
        """Nothing is open."""
