"""What every stand-in offers the application."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, runtime_checkable

from corral.sandbox.wire import Reply, Request


class StandIn(Protocol):
    """One provider."""

    #: The provider's name in `/faults` and `/outbox`.
    provider: str

    def answer(self, request: Request) -> Reply | Awaitable[Reply]:
        """Answer a request; its path is below the provider's base URL."""
        ...

    def fault(self, status: int) -> Reply:
        """The provider's own body for a status from 400 to 599; 401, 429 and 500 at least have their own."""
        ...


@runtime_checkable
class SoftStandIn(StandIn, Protocol):
    """A provider that can say in a 200 that it did not work."""

    def soft(self) -> Reply:
        """That answer."""
        ...
