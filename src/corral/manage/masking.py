"""Fields of a job's data that nobody should see in passing: named like secrets or papers. Pure.

They come as MARK in their place, also to who may see payloads; `reveal` (see `job_changes`) gives them,
with an entry in the audit log.
"""

from __future__ import annotations

import re
from typing import Any

from corral.data import decode_json
from corral.errors import InvalidData

#: Stands where the value was.
MARK = {"$corral:hidden": True}

_NAMES = (
    r"passw|secret|token|authorization|cookie|credential|(api|private)[_-]?key|"
    r"(document|passport|licen[cs]e|card|account|tax|social)[_-]?(security[_-]?)?number|\biban\b|\bcv[cv]\b|"
    r"date[_-]?of[_-]?birth"
)
_HIDDEN = re.compile(_NAMES, re.IGNORECASE)
_HIDDEN_RAW = re.compile(_NAMES.encode(), re.IGNORECASE)


def may_hide(raw: bytes) -> bool:
    """Whether `masked` could find something: a look that spares large data its decoding."""
    return _HIDDEN_RAW.search(raw) is not None


def masked_json(raw: bytes) -> Any:
    """JSON with MARK for what is hidden. Raises InvalidData."""
    return masked(decode_json(raw))


def masked(value: Any) -> Any:
    """The same with MARK for the values of hidden names; null and true or false stay."""
    if isinstance(value, dict):
        return {name: MARK if _hides(name, inner) else masked(inner) for name, inner in value.items()}
    return [masked(inner) for inner in value] if isinstance(value, list) else value


def holds_marks(value: Any) -> bool:
    """Whether something was masked: such data must not be written back."""
    if isinstance(value, dict):
        return value == MARK or any(holds_marks(inner) for inner in value.values())
    return isinstance(value, list) and any(holds_marks(inner) for inner in value)


def _hides(name: str, value: Any) -> bool:
    return value is not None and not isinstance(value, bool) and _HIDDEN.search(name) is not None


def is_json(raw: bytes) -> bool:
    try:
        decode_json(raw)
    except InvalidData:
        return False
    return True
