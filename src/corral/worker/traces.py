"""Stack traces as text, at a tenth of the price of `traceback.format_exception`.

Python's own module works out which part of each line failed and marks it with carets, which costs more than
everything else about a failing job. Here a trace says file, line, function and the source line, for the error
and for what caused it. What needs more (groups, syntax errors) is left to Python.
"""

from __future__ import annotations

import linecache
import traceback
from types import CodeType, TracebackType
from typing import Any

#: Frames kept at each end of a long stack (a recursion).
FRAMES = 20

#: Places in the code whose lines are remembered: jobs mostly fail where others failed before.
PLACES = 1_000

_known: dict[tuple[CodeType, int], str] = {}

#: Modules whose classes Python prints without them.
_UNNAMED = ("__main__", "builtins")

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


def format_trace(error: BaseException) -> str:
    """The trace of an error and of those behind it, oldest first, as Python prints it."""
    parts: list[str] = []
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        if isinstance(at, (BaseExceptionGroup, SyntaxError)):
            return "".join(traceback.format_exception(error))
        seen.add(id(at))
        parts.append(_one(at))
        if at.__cause__ is not None:
            parts.append(_CAUSE)
            at = at.__cause__
        elif at.__context__ is not None and not at.__suppress_context__:
            parts.append(_CONTEXT)
            at = at.__context__
        else:
            at = None
    if parts[-1] in (_CAUSE, _CONTEXT):  # an error that is its own cause
        parts.pop()
    return "".join(reversed(parts))


def _one(error: BaseException) -> str:
    lines = _frames(error.__traceback__)
    if len(lines) > 2 * FRAMES:
        lines[FRAMES:-FRAMES] = [f"  […] {len(lines) - 2 * FRAMES} frames\n"]
    if lines:
        lines.insert(0, "Traceback (most recent call last):\n")
    lines.append(_last_line(error))
    return "".join(lines)


def _frames(trace: TracebackType | None) -> list[str]:
    lines = []
    while trace is not None:
        place = (trace.tb_frame.f_code, trace.tb_lineno)
        lines.append(_known.get(place) or _read(place, trace.tb_frame.f_globals))
        trace = trace.tb_next
    return lines


def _read(place: tuple[CodeType, int], variables: dict[str, Any]) -> str:
    code, number = place
    line = linecache.getline(code.co_filename, number, variables).strip()
    text = f'  File "{code.co_filename}", line {number}, in {code.co_name}\n'
    if line:
        text += f"    {line}\n"
    if len(_known) >= PLACES:
        _known.clear()
    _known[place] = text
    return text


def _last_line(error: BaseException) -> str:
    """Class and text, as Python prints them; errors about names get Python's own guess at what was meant."""
    kind = type(error)
    if isinstance(error, (NameError, AttributeError, ImportError)) or hasattr(error, "__notes__"):
        return "".join(traceback.format_exception_only(error))
    name = kind.__qualname__ if kind.__module__ in _UNNAMED else f"{kind.__module__}.{kind.__qualname__}"
    try:
        text = str(error)
    except Exception:
        text = "<exception str() failed>"
    return f"{name}: {text}\n" if text else f"{name}\n"
