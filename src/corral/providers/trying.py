"""Trying a provider's key: what `corral breakers test` and the management API do. Changes nothing anywhere.

The settings are read again before, so that a key that was just changed in `.env`, or in its file, is what is
tried. Takes `seconds` at most. What it says holds no secret.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from corral.errors import CorralError, InvalidInput
from corral.providers import Providers, providers, renew_providers
from corral.providers.checking import Checkable
from corral.providers.errors import ProviderError, ProviderMisconfigured

#: Seconds for one try.
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Tried:
    """Whether a provider takes our key. `seconds`: how long it took to say so.

    kind: ok; misconfigured: it does not take the key, or there is none; unavailable: nobody can say now.
    """

    provider: str
    kind: Literal["ok", "misconfigured", "unavailable"]
    reason: str | None
    seconds: float

    @property
    def ok(self) -> bool:
        return self.kind == "ok"


async def try_key(name: str, *, seconds: float = SECONDS) -> Tried:
    """Ask the provider behind a breaker whether it takes our key.

    Raises InvalidInput if there is none of this name whose key can be tested, ConfigurationError for settings
    that cannot be read.
    """
    renew_providers()
    checked = checkable(await providers(), name)
    started = time.monotonic()
    kind: Literal["ok", "misconfigured", "unavailable"] = "ok"
    reason = None
    try:
        async with asyncio.timeout(seconds):
            await checked.check()
    except TimeoutError:
        kind, reason = "unavailable", f"no answer within {seconds:g} s"
    except ProviderError as error:
        kind = "misconfigured" if isinstance(error, ProviderMisconfigured) else "unavailable"
        reason = error.reason
    return Tried(name, kind, reason, time.monotonic() - started)


def checkable(made: Providers, name: str) -> Checkable:
    """The provider behind a breaker. Raises InvalidInput if there is none whose key can be tested."""
    # supabase-storage is a part of Supabase: one key, one test.
    able = _all(made)
    found = able.get(name) or able.get(name.partition("-")[0])
    if found is None:
        raise InvalidInput(
            f"No key of {name[:50]!r} can be tested. Of these it can: {', '.join(sorted(able))}."
        )
    return found


def _all(made: Providers) -> dict[str, Checkable]:
    """All that the settings have and that can be asked, by the name of their breaker."""
    found: dict[str, Checkable] = {}
    for attribute, kind in vars(Providers).items():
        if not isinstance(kind, cached_property):
            continue
        with contextlib.suppress(CorralError):  # one whose settings are malformed
            value: Any = getattr(made, attribute)
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, Checkable):
                    found.setdefault(getattr(each, "name", attribute), each)
    return found
