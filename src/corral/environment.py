"""The settings as the environment has them now, for the modules that every program imports.

Settings are read with Pydantic, which takes longer to import than all of Corral; a program that declares
queues needs it when it first connects, not when it starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corral.settings import Settings


def read_settings() -> Settings:
    """Raises ConfigurationError for a misspelt or malformed setting."""
    from corral.settings import Settings  # noqa: PLC0415  # see above

    return Settings.load()
