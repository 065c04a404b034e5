"""Where a call to a provider meets the breakers of the worker that it runs in.

A worker puts its breakers here for as long as it runs, by event loop; whoever calls a provider asks
`gate_here`. Outside a worker (a script, the HTTP API, a test, a child process) there are none, and calls just
go out.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary


@dataclass(frozen=True, slots=True)
class Verdict:
    """A breaker is open. `opening`: which of its openings. `last`: the running job is held no longer."""

    reason: str
    opening: int
    last: bool = False


class Gate(Protocol):
    """The breakers that hold for the running job. No method raises."""

    def blocks(self, breaker: str) -> Verdict | None:
        """Whether a call may go out; None: it may. No round trip."""
        ...

    async def answered(self, breaker: str) -> None:
        """The provider answered as one that is well. A round trip only for a probe."""
        ...

    async def misconfigured(self, breaker: str, reason: str) -> Verdict | None:
        """It refused us: opens the breaker. None: Redis could not be told."""
        ...

    async def failed(self, breaker: str, reason: str, *, counts: bool) -> Verdict | None:
        """It failed. A verdict: the running job is a probe, to be held. `counts`: towards opening it."""
        ...


_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, Gate] = WeakKeyDictionary()


def gate_here() -> Gate | None:
    """The gate of the running loop, or None outside a worker."""
    return _gates.get(asyncio.get_running_loop())


def set_gate(gate: Gate | None) -> None:
    """Put up the running loop's gate, or take it away."""
    loop = asyncio.get_running_loop()
    if gate is None:
        _gates.pop(loop, None)
    else:
        _gates[loop] = gate
