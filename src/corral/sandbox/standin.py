"""What every stand-in offers the application."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from corral.sandbox.wire import Reply, Request


class StandIn(Protocol):
    """One provider."""

    #: The provider's name in `/faults` and `/outbox`.
    provider: str

    def answer(self, request: Request) -> Reply | Awaitable[Reply]:
        """Answer a request; its path is below the provider's base URL."""
        ...

    def fault(self, status: int) -> Reply:
        """The provider's own body for 401, 429 and 500."""
        ...
