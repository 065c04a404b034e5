"""The channel `slack`: an incoming webhook of Slack, or of what speaks the same (Mattermost, Rocket.Chat).

One message for each notice; Slack takes about one a second, and its 429 with Retry-After is followed.
Limits: a webhook cannot change a message that it sent, so the end of an alert is a message of its own.

Options: CORRAL_ALERT_SLACK_URL.
"""

from __future__ import annotations

from typing import Any

from corral.observe.alerts.channels.posting import JsonPoster
from corral.observe.alerts.notice import Notice, rfc3339

#: Slack's own: characters of a header, and of a section.
_HEADER, _SECTION = 150, 3_000

_MARKS = {"critical": "🔴", "warning": "🟠", "info": "🔵"}


class SlackChannel:
    """Sends to the webhook's Slack channel."""

    name = "slack"

    def __init__(self, poster: JsonPoster, prefix: str) -> None:
        self._poster = poster
        self._prefix = prefix

    async def send(self, notice: Notice) -> str:
        """One POST."""
        return await self._poster.post(message(notice, self._prefix))

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def message(notice: Notice, prefix: str) -> dict[str, Any]:
    """The body. `text` is what notifications and clients without blocks show."""
    mark = "✅" if notice.kind == "resolved" else _MARKS[notice.severity]
    headline = f"{mark} {notice.headline}"
    told = escaped(notice.summary)
    if notice.advice:
        told += f"\n*Next:* {escaped(notice.advice)}"
    at = rfc3339(notice.at)
    when = f"<!date^{int(notice.at)}^{{date_short_pretty}} {{time_secs}}|{at}>"
    return {
        "text": escaped(headline),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": headline[:_HEADER], "emoji": True}},
            {"type": "section", "text": {"type": "mrkdwn", "text": _cut(told)}},
            {
                "type": "context",
                "elements": [
                    {
                        "type": "mrkdwn",
                        "text": f"Corral `{escaped(prefix)}` · rule `{escaped(notice.rule)}` · {when}",
                    }
                ],
            },
        ],
    }


def escaped(text: str) -> str:
    """Names that strangers chose must not call everybody: `<!channel>` is text here."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str) -> str:
    if len(text) <= _SECTION:
        return text
    # Not in the middle of an escape.
    return text[: _SECTION - 8].rpartition(" ")[0] + " …"
