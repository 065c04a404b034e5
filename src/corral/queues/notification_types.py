"""What a notification job carries and returns, checked where it enters. Pure.

What no provider would take is refused at the edge with a reason, so that a mistake costs no attempt.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from corral.providers.push import MAX_BYTES, size, texts
from corral.providers.twilio import MAX_TEXT

#: FCM keeps these for itself, and APNs `aps`.
_RESERVED = re.compile(r"from|message_type|aps|(google|gcm)(\..*)?")

#: A key of `data` that lets a message through quiet hours.
URGENT = "urgent"


class NotificationJob(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A message to a user.

    data: handed to the app with a push message; values that are no texts arrive as JSON text, and null not
    at all. `"urgent": true` in it lets the message through quiet hours.
    """

    user_id: Annotated[str, Meta(min_length=1, max_length=255)]
    type: Literal["push", "sms"]
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    body: Annotated[str, Meta(min_length=1, max_length=2000)]
    data: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.user_id.strip():
            raise ValueError("userId is blank")
        if self.type == "sms":
            if len(sms_text(self)) > MAX_TEXT:
                raise ValueError(
                    f"title and body have {len(sms_text(self))} characters together; "
                    f"a text message holds {MAX_TEXT}"
                )
            return
        handed = texts(self.data or {})
        reserved = sorted(key for key in handed if _RESERVED.fullmatch(key))
        if reserved:
            raise ValueError(f"data.{reserved[0]} is a name that push services keep for themselves")
        total = size(self.title, self.body, handed)
        if total > MAX_BYTES:
            raise ValueError(
                f"title, body and data have {total} bytes together; a push message holds {MAX_BYTES}"
            )

    @property
    def urgent(self) -> bool:
        """Whether quiet hours do not hold for it."""
        return (self.data or {}).get(URGENT) in (True, "true")


class NotificationResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What the job returns. No tokens and no numbers.

    outcome: `sent`, a provider took it for one device at least; `undeliverable`, there was nobody to send to.
    delivered, removed, failed: devices that got it, that were forgotten because their token is dead, and
    that did not get it for another reason. A text message counts as one.
    provider_ids: `fcm:…`, `apns:…`, `twilio:SM…`, where the provider gives one.
    reason: why it was undeliverable.
    """

    outcome: Literal["sent", "undeliverable"]
    delivered: int
    removed: int
    failed: int
    provider_ids: list[str]
    reason: str | None = None


def sms_text(data: NotificationJob) -> str:
    """What a text message says: title and body, a line each; once if they are the same."""
    return data.body if data.title == data.body else f"{data.title}\n{data.body}"
