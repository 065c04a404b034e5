"""The queue `notification`: a push message or a text message to a user.

Only declared here, without a handler: the KYC queue adds to it, and its jobs wait until the handler comes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from corral.policy import Priority, Retry
from corral.queue import Queue


class NotificationJob(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A message. `data` is handed to the app with it."""

    user_id: Annotated[str, Meta(min_length=1, max_length=255)]
    type: Literal["push", "sms"]
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    body: Annotated[str, Meta(min_length=1, max_length=2000)]
    data: dict[str, Any] | None = None


queue = Queue(
    "notification", retry=Retry(attempts=3, delays=(10, 60, 300), jitter=0.1), priority=Priority.HIGH
)
