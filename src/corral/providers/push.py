"""A push message as every push service takes it, and what every push service can do. Pure.

Limits: 4,096 bytes, which is what FCM, APNs and Web Push all hold; each counts a little differently, so
`size` counts what the sender wrote and the provider has the last word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from corral.providers.errors import ProviderPermanent

#: Bytes that a push message holds at most.
MAX_BYTES = 4096

#: Bytes of APNs's longest collapse id; FCM has no limit that is documented.
MAX_COLLAPSE_KEY = 64


@dataclass(frozen=True, slots=True)
class Push:
    """One message of one job.

    data: handed to the app; FCM takes texts only, so that all services get texts.
    collapse_key: a later message with the same one replaces an earlier one on the device.
    """

    title: str
    body: str
    collapse_key: str
    data: Mapping[str, str] = field(default_factory=dict)

    @property
    def private(self) -> list[str]:
        """What must not come back in a reason."""
        return [self.title, self.body, *self.data.values()]


class DeadDevice(ProviderPermanent):
    """The device's token is used no more: the app was removed, or the token is another app's. Forget it."""


class PushProvider(Protocol):
    """A service that pushes."""

    #: What errors, logs and results call it: fcm, apns, webpush.
    name: str

    async def send(self, token: str, push: Push) -> str:
        """Hand a message for one device over, once. Returns the provider's own id of it, or "".

        Repeating it is harmless, since the collapse key has the second replace the first: a lost answer is
        `ProviderRetryable`. Raises DeadDevice, ProviderRetryable, ProviderPermanent, ProviderMisconfigured.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def collapse_key(job_id: str) -> str:
    """The job's id, or a hash of it where it is too long or no ASCII."""
    if job_id.isascii() and job_id.isprintable() and len(job_id) <= MAX_COLLAPSE_KEY:
        return job_id
    return hashlib.sha256(job_id.encode()).hexdigest()[:MAX_COLLAPSE_KEY]


def texts(data: Mapping[str, Any]) -> dict[str, str]:
    """Data with every value as text: a text as it is, nothing left out, anything else as JSON."""
    return {
        key: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for key, value in data.items()
        if value is not None
    }


def size(title: str, body: str, data: Mapping[str, str]) -> int:
    """Bytes of a message: title, body, and the keys and values of its data."""
    return sum(len(part.encode()) for part in (title, body, *data.keys(), *data.values()))
