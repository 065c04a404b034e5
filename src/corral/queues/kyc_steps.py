"""What the two providers' flows share: the job's context as they see it, and what they need besides.

A flow is a sequence of steps, each stored in the job's checkpoint before the next. Before a step that costs
money a marker is stored; a run that finds the marker without the result asks the provider what became of
the first attempt, and only then sends again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from corral.providers import Providers
from corral.queues.kyc_types import KycJob, Status


class Steps(Protocol):
    """The part of JobContext that a flow uses."""

    id: str
    attempt: int

    @property
    def checkpoints(self) -> dict[str, Any]: ...

    async def checkpoint(self, values: Mapping[str, Any]) -> None: ...

    async def progress(self, value: float) -> None: ...

    async def wait_for(self, signal: str, timeout: float) -> Any: ...  # noqa: ASYNC109 - JobContext's signature


@dataclass(frozen=True, slots=True)
class Case:
    """One verification: the job, its data, the providers, the time (epoch seconds), and where its id at
    the provider is written down.
    """

    job: Steps
    data: KycJob
    providers: Providers
    clock: Callable[[], float]
    refer: Callable[[str], Awaitable[None]]

    def stored(self, key: str) -> Any:
        """What an earlier step or run stored; None if it did not."""
        return self.job.checkpoints.get(key)

    async def submitted(self, provider_ref: str) -> None:
        """The provider has everything: say so once."""
        if not self.stored("referred"):
            await self.refer(provider_ref)
            await self.job.checkpoint({"referred": True})
            await self.job.progress(50)


@dataclass(frozen=True, slots=True)
class Decision:
    """What came of a verification; `provider_ref` is its id at the provider."""

    status: Status
    provider_ref: str


def iso(at: float) -> str:
    """Epoch seconds as ISO 8601, UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
