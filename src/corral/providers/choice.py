"""Whether a provider is the real service or the sandbox's stand-in. Pure.

Sandbox mode is explicit. In it, a provider without a key talks to the local sandbox with the sandbox's own
key; a provider with a key talks to the real service. Outside it, a provider without a key raises
`ProviderMisconfigured` with the setting to give, on every call: a forgotten key must never turn into a
faked identity check.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from corral.settings import Settings


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a provider is made from. `sandbox_url` is empty outside sandbox mode."""

    settings: Settings
    sandbox_url: str = ""

    def plays(self, *needed: str | SecretStr) -> bool:
        """Whether the sandbox stands in: sandbox mode, and one of the needed settings is empty."""
        return bool(self.sandbox_url) and sandboxed(self.settings, *needed)


def sandboxed(settings: Settings, *needed: str | SecretStr) -> bool:
    """Whether `settings` have the sandbox play a provider that needs these settings."""
    return settings.sandbox and not all(
        value.get_secret_value() if isinstance(value, SecretStr) else value for value in needed
    )
