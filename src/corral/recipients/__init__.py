"""Who a user id is to the outside: their devices, their phone number, their time zone.

`RecipientResolver` is what the queue `notification` asks; `supabase` answers from two tables, and
CORRAL_RECIPIENTS names one of your own (`chosen`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

DeviceKind = Literal["fcm", "apns", "webpush"]

DEVICE_KINDS: frozenset[str] = frozenset(get_args(DeviceKind))

#: Devices of one user that are looked at.
MAX_DEVICES = 100


@dataclass(frozen=True, slots=True)
class Device:
    """A device. `token` is the service's token, or a browser's subscription as JSON text."""

    kind: DeviceKind
    token: str = field(repr=False)


class RecipientResolver(Protocol):
    """Finds people's devices and numbers. Derive from it to have the methods that need not be written.

    Made once for each process and event loop, and used by many jobs at a time. An error that it raises
    counts as a failed attempt of the job, unless it is of those that steer a job (Snooze, Unrecoverable, …).
    """

    async def devices(self, user_id: str) -> Sequence[Device]:
        """The user's devices; none is no error."""
        ...

    async def phone(self, user_id: str) -> str | None:
        """The user's number in E.164 (`+4930…`), or None."""
        ...

    async def drop(self, user_id: str, device: Device) -> None:
        """Forget a device whose token is dead. It may be gone already."""
        ...

    async def time_zone(self, user_id: str) -> str | None:  # noqa: ARG002 - for those who know it
        """The user's time zone (`Europe/Berlin`), for quiet hours; None: UTC."""
        return None

    async def close(self) -> None:
        """Close what was opened."""
        return
