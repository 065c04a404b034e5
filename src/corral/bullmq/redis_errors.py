"""redis-py's errors for `except redis_errors.RedisError`: imported when something is raised, not before.

redis-py is more than half of what importing `Queue` used to cost. Python looks at an `except` clause only
when an error comes by, and then redis-py is mostly there, since whoever has a client has imported it: see
decision 7.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis.exceptions import NoScriptError, RedisError, WatchError

__all__ = ["NoScriptError", "RedisError", "WatchError"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module("redis.exceptions"), name)
    return value
