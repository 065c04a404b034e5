"""What pushing and texting share: the message, what it is sent with, and what is said of nobody to reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from corral.errors import Unrecoverable
from corral.providers import Providers
from corral.queues.notification_types import NotificationJob, NotificationResult


class Steps(Protocol):
    """The part of JobContext that sending uses."""

    id: str
    attempt: int
    attempts: int

    @property
    def checkpoints(self) -> dict[str, Any]: ...

    async def checkpoint(self, values: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Case:
    """One notification: the job, its data, the providers, and the time (epoch seconds)."""

    job: Steps
    data: NotificationJob
    providers: Providers
    clock: Callable[[], float]
    #: Called before the first thing is sent; raises Snooze if the user has had enough for now.
    take_turn: Callable[[], Any]


class Undeliverable(Unrecoverable):
    """There is nobody to send the message to."""


def undeliverable(case: Case, reason: str, removed: int = 0) -> NotificationResult:
    """What becomes of a message to nobody. Raises Undeliverable if CORRAL_UNDELIVERABLE is dead-letter."""
    if case.providers.settings.undeliverable == "dead-letter":
        raise Undeliverable(f"Undeliverable: {reason}.")
    return NotificationResult(
        outcome="undeliverable", delivered=0, removed=removed, failed=0, provider_ids=[], reason=reason
    )
