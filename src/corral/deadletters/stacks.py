"""Reading stack traces as text: which error, and where. Python's and Node's, since both fail jobs. Pure.

A trace is what a worker stored of one attempt. It may be cut in the middle, wrapped in others (causes,
exception groups) or no trace at all: then there are no frames, and whatever is there counts as text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: `  File "/app/shop/orders.py", line 12, in ship`, also behind the bars of an exception group.
_PYTHON_FRAME = re.compile(r'^\s*File "(?P<path>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$')

#: `    at async Order.ship (file:///app/orders.js:12:5)` and `    at /app/orders.js:12:5`.
_NODE_FRAME = re.compile(
    r"^\s+at (?:(?:async )?(?P<function>.*?) \()?(?:async )?(?P<path>[^()]+?):(?P<line>\d+)(?::\d+)?\)?$"
)

#: `shop.errors.OutOfStock: no A1`, `KeyError`, `TypeError [ERR_X]: text`, `Uncaught Error: text`.
_ERROR = re.compile(
    r"^(?:Uncaught )?(?P<error>[A-Za-z_$][\w$]*(?:\.[A-Za-z_$<][\w$<>]*)*)(?: \[\w+\])?(?::|$)"
)

_PYTHON_START = "Traceback (most recent call last):"

#: How Python draws an exception group; its members begin with a line of dashes.
_GROUP_START = "Exception Group Traceback"
_BARS = re.compile(r"^ {2}[|+] ")
_MEMBERS = re.compile(r"^ *\+-\+-")

#: Of each line and of each trace so much is looked at: others write what they like.
LINE_CHARS, LINES = 1_000, 2_000


@dataclass(frozen=True, slots=True)
class Frame:
    """A place in the code. `line` is shown, and no part of a fingerprint: a deploy moves it."""

    path: str
    function: str
    line: int


@dataclass(frozen=True, slots=True)
class Stack:
    """error: the class as the trace names it, or "". frames: the innermost first."""

    error: str
    frames: tuple[Frame, ...]


def read_stack(trace: str) -> Stack:
    """The error that ended the attempt, and its frames. Of several errors the one that was raised last."""
    lines = [line[:LINE_CHARS] for line in trace.splitlines()]
    if len(lines) > LINES:
        lines = lines[: LINES // 2] + lines[-LINES // 2 :]
    if any(_NODE_FRAME.match(line) for line in lines) and _PYTHON_START not in trace:
        return _node(lines)
    return _python(lines)


def _node(lines: list[str]) -> Stack:
    frames: list[Frame] = []
    for line in lines:
        found = _NODE_FRAME.match(line)
        if found is not None:
            function = (found["function"] or "").removeprefix("async ").removeprefix("new ")
            frames.append(Frame(found["path"].removeprefix("file://"), function, int(found["line"])))
        elif frames and line.lstrip().startswith(("[cause]", "Caused by")):
            break
    return Stack(_error(lines[0]) if lines else "", tuple(frames))


def _python(lines: list[str]) -> Stack:
    """Python prints the oldest error first and the innermost frame last."""
    if any(_GROUP_START in line for line in lines):
        lines = [_BARS.sub("", line) for line in lines]
        members = next((n for n, line in enumerate(lines) if _MEMBERS.match(line)), len(lines))
        lines = lines[:members]
    starts = [n for n, line in enumerate(lines) if line.endswith(_PYTHON_START) and line[:1] != " "]
    block = lines[starts[-1] if starts else 0 :]
    frames: list[Frame] = []
    last = -1
    for number, line in enumerate(block):
        found = _PYTHON_FRAME.match(line)
        if found is not None:
            frames.append(Frame(found["path"], found["function"] or "", int(found["line"])))
            last = number
    error = ""
    for line in block[last + 1 :]:
        if line[:1] not in (" ", "") and (error := _error(line)):
            break
    return Stack(error, tuple(reversed(frames)))


def _error(line: str) -> str:
    found = _ERROR.match(line.strip())
    return found["error"] if found else ""
