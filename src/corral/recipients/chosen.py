"""The resolver that the settings choose: the Supabase tables, or one of the product's own.

Options: CORRAL_RECIPIENTS, as `module:name`: a resolver, or a class or function without arguments that makes
one. It is loaded when a job first needs it.
"""

from __future__ import annotations

import inspect
from typing import Any

from corral.errors import ConfigurationError
from corral.loading import load
from corral.providers.supabase import Supabase
from corral.recipients import RecipientResolver
from corral.recipients.supabase import SupabaseRecipients
from corral.settings import Settings

_METHODS = ("devices", "phone", "drop", "time_zone", "close")


def from_settings(settings: Settings, supabase: Supabase) -> RecipientResolver:
    """Raises ConfigurationError for a name that leads to no resolver."""
    if not settings.recipients:
        return SupabaseRecipients(supabase, settings)
    named = load(settings.recipients, like="app.people:resolver")
    found: Any = named if _is_resolver(named) else _made_by(named)
    if not _is_resolver(found):
        raise ConfigurationError(
            f"CORRAL_RECIPIENTS: {settings.recipients!r} is no resolver: it has to have the methods "
            f"{', '.join(_METHODS)}. Derive it from corral.recipients.RecipientResolver."
        )
    resolver: RecipientResolver = found
    return resolver


def _made_by(named: Any) -> Any:
    """What a class or function without arguments makes; None if it is neither."""
    try:
        inspect.signature(named).bind()
    except (TypeError, ValueError):
        return None
    return named()


def _is_resolver(value: object) -> bool:
    return not isinstance(value, type) and all(callable(getattr(value, name, None)) for name in _METHODS)
