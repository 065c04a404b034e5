"""Stack traces as text, at a tenth of the price of `traceback.format_exception`.

Python's own module works out which part of each line failed and marks it with carets, which costs more than
everything else about a failing job. Here a trace says file, line, function and the source line, for the error
and for what caused it. What needs more (groups, syntax errors) is left to Python.
"""

from __future__ import annotations

import linecache
import traceback
from types import TracebackType

#: Frames kept at each end of a long stack (a recursion).
FRAMES = 20

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
    lines += traceback.format_exception_only(error)
    return "".join(lines)


def _frames(trace: TracebackType | None) -> list[str]:
    lines = []
    while trace is not None:
        code = trace.tb_frame.f_code
        line = linecache.getline(code.co_filename, trace.tb_lineno, trace.tb_frame.f_globals).strip()
        where = f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}\n'
        lines.append(f"{where}    {line}\n" if line else where)
        trace = trace.tb_next
    return lines
