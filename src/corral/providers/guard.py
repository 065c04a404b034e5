"""`guarded("onfido")`: a call to a provider goes out only if its breaker allows, and reports what came back.

`ProviderClient` has it built in; what talks to a provider in another way puts it around its calls. Outside a
worker it does nothing. Which errors mean what is in `providers/errors.py`.

Guarantees: no round trip to Redis for a call that succeeds, nor for one that finds the breaker open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from corral.gate import Verdict, gate_here
from corral.providers.errors import (
    ProviderAmbiguous,
    ProviderHeld,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)


@asynccontextmanager
async def guarded(provider: str) -> AsyncIterator[None]:
    """Raises ProviderHeld instead of calling while the breaker is open."""
    gate = gate_here()
    if gate is None:
        yield
        return
    verdict = gate.blocks(provider)
    if verdict is not None:
        raise _held(provider, verdict)
    try:
        yield
    except ProviderMisconfigured as error:
        verdict = await gate.misconfigured(provider, error.reason)
        if verdict is not None:
            error.opening, error.last = verdict.opening, verdict.last
        raise
    except ProviderRetryable as error:
        # One that says when to come back is busy, not broken.
        verdict = await gate.failed(provider, error.reason, counts=not error.seconds)
        if verdict is not None:
            raise _held(provider, verdict) from error
        raise
    except ProviderAmbiguous as error:
        # It may have been carried out, so the handler must know, also of a probe.
        await gate.failed(provider, error.reason, counts=True)
        raise
    except ProviderPermanent:
        await gate.answered(provider)
        raise
    else:
        await gate.answered(provider)


def _held(provider: str, verdict: Verdict) -> ProviderHeld:
    error = ProviderHeld(provider, verdict.reason)
    error.opening, error.last = verdict.opening, verdict.last
    return error
