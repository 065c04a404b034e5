"""An exception on its way to another process, and back into an exception there.

It is not pickled: half of all exception classes cannot be, and the worker must not run what a broken child
sends. What crosses is the class's name and those of its bases, the message, the trace as text, and the plain
attributes. On the other side it becomes an exception of a class made for it: it has the name and the text of
the original and inherits from the nearest base class that this process has loaded, so that `isinstance`, and
with it every rule about Unrecoverable, Snooze, RetryAfter or a wait, sees what the handler raised.
"""

from __future__ import annotations

import asyncio
import builtins
import sys
import traceback
from typing import Any

from corral.worker.outcome import describe
from corral.worker.processes.messages import Failure

#: Longest message that crosses; what is kept of it is shorter still.
MESSAGE_LIMIT = 10_000

#: They would mean something to the event loop of the worker, which the job of a child must not.
_NOT_HERE = (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, BaseExceptionGroup, StopIteration)


class Crossed:
    """Mixed into the class of an exception that came from another process."""

    crossed_text: str

    def __str__(self) -> str:
        return self.crossed_text


class TraceElsewhere(Exception):
    """The cause of an exception that crossed: its trace in the process it comes from, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def pack(error: BaseException) -> Failure:
    """Never raises, whatever the exception is like."""
    kind = type(error)
    try:
        message = str(error)[:MESSAGE_LIMIT]
        message = message.encode(errors="backslashreplace").decode()
    except Exception:  # its __str__ is broken
        message = ""
    return Failure(
        name=kind.__name__,
        classes=[(base.__module__, base.__qualname__) for base in kind.__mro__],
        message=message,
        trace=_trace(error),
        attributes={
            name: value for name, value in getattr(error, "__dict__", {}).items() if _crosses(name, value)
        },
    )


def _trace(error: BaseException) -> str:
    try:
        return describe(error)[1]
    except Exception:
        return "".join(traceback.format_tb(error.__traceback__))


def _crosses(name: str, value: Any) -> bool:
    if name == "__notes__" or not isinstance(value, (str, int, float, bool, type(None))):
        return False
    if isinstance(value, str):
        return len(value) <= MESSAGE_LIMIT and value.isprintable()
    # msgpack holds 64 bits.
    return not isinstance(value, int) or -(2**63) <= value < 2**64


def unpack(failure: Failure) -> BaseException:
    """The exception to raise here."""
    error: Any = None
    for module, qualname in failure.classes:
        base = _loaded(module, qualname)
        if base is not None:
            error = _made(failure, base)
        if error is not None:
            break
    error = error or _made(failure, Exception)
    error.__cause__ = TraceElsewhere(failure.trace)
    return error  # type: ignore[no-any-return]  # made by _made


def _made(failure: Failure, base: type[BaseException]) -> BaseException | None:
    try:
        # Some classes allow no subclass, or none with this mixin; then the next base is tried.
        kind = type(failure.name, (Crossed, base), {"__module__": base.__module__})
        error: Any = kind.__new__(kind, failure.message)
        error.__dict__.update(failure.attributes)
        error.__dict__["crossed_text"] = failure.message
    except Exception:
        return None
    return error  # type: ignore[no-any-return]  # it inherits from base


def _loaded(module: str, qualname: str) -> type[BaseException] | None:
    """The exception class of this name, if this process has it. Nothing is imported for it."""
    found: Any = builtins if module == "builtins" else sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type) or not issubclass(found, BaseException):
        return None
    return None if found is BaseException or issubclass(found, _NOT_HERE) else found
