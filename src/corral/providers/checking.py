"""Whether a provider takes our key, asked without changing anything there: `corral breakers test`.

A provider that has such a question has a method `check`: cheap, read-only, never billed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from corral.providers.errors import ProviderPermanent


@runtime_checkable
class Checkable(Protocol):
    """A provider whose key can be tested."""

    async def check(self) -> None:
        """Return if the key works. Raises ProviderMisconfigured if not, ProviderRetryable if none can say."""
        ...


@contextlib.contextmanager
def accepted() -> Iterator[None]:
    """A refusal of the question itself (there is no such thing) means that the key was good."""
    with contextlib.suppress(ProviderPermanent):
        yield
