"""What pushing and texting share: the message, what it is sent with, and what is said of nobody to reach.

Emits the log event `provider_misconfigured` (error) for a resolver that cannot be used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from corral.errors import ConfigurationError, Unrecoverable
from corral.providers import Providers
from corral.providers.errors import ProviderMisconfigured
from corral.queues.notification_types import NotificationJob, NotificationResult
from corral.recipients import RecipientResolver

log = structlog.get_logger(__name__)


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
    recipients: RecipientResolver
    clock: Callable[[], float]
    #: Called before the first thing is sent; raises Snooze if the user has had enough for now.
    take_turn: Callable[[], Any]


def recipients_of(outside: Providers) -> RecipientResolver:
    """The resolver. Raises ProviderMisconfigured if the settings name none that can be used."""
    try:
        return outside.recipients
    except ConfigurationError as error:
        log.error("provider_misconfigured", provider="recipients", reason=str(error))
        raise ProviderMisconfigured("recipients", str(error)) from error


class Undeliverable(Unrecoverable):
    """There is nobody to send the message to."""


def undeliverable(case: Case, reason: str, removed: int = 0) -> NotificationResult:
    """What becomes of a message to nobody. Raises Undeliverable if CORRAL_UNDELIVERABLE is dead-letter."""
    if case.providers.settings.undeliverable == "dead-letter":
        raise Undeliverable(f"Undeliverable: {reason}.")
    return NotificationResult(
        outcome="undeliverable", delivered=0, removed=removed, failed=0, provider_ids=[], reason=reason
    )
