"""docs/reference/library.md: the public names, for mkdocstrings to fill in from their docstrings."""

from __future__ import annotations

import inspect

from tools.reference.table import MADE

import corral
from corral.errors import CorralError

_HEAD = f"""{MADE}

# Library

What `from corral import …` gives; anything else may change without notice, except `corral.errors`
([errors](errors.md)), `corral.testing` ([testing](../engine/testing.md)) and `corral.dead`
([dead letters](../operate/dead-letters.md)).
"""

#: In reading order; a public name in none of them comes under "Further".
_GROUPS = {
    "Declaring": ("Queue", "Retry", "RateLimit", "Priority", "Retention", "Keep", "Forget", "Objective",
                  "GroupLimits", "Webhook"),
    "Adding": ("NewJob", "Dedup", "Flow", "ChildKey", "OnFailure", "Schedule", "Job", "Cancelled"),
    "In a handler": ("JobContext", "ThreadJobContext", "ProcessJobContext", "AsyncProcessJobContext", "Batch",
                     "BatchJob", "ThreadBatchJob", "current_job"),
    "Running": ("Worker", "Settings"),
}  # fmt: skip


def text() -> str:
    errors = [name for name in corral.__all__ if _is_error(name)]
    placed = {name for names in _GROUPS.values() for name in names} | set(errors)
    groups = dict(_GROUPS)
    if further := tuple(name for name in corral.__all__ if name not in placed):
        groups["Further"] = further
    parts = [_HEAD]
    for title, names in groups.items():
        parts.append(f"\n## {title}\n")
        for name in names:
            value = getattr(corral, name)
            parts.append(f"\n::: {value.__module__}.{name}\n")
    parts.append("\n## Errors\n\n" + ", ".join(f"`{name}`" for name in errors))
    return "".join(parts) + ": see [errors](errors.md).\n"


def _is_error(name: str) -> bool:
    value = getattr(corral, name)
    return inspect.isclass(value) and issubclass(value, CorralError)
