"""docs/reference/errors.md: the tree of `corral.errors` with what each means and says to do."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import groupby

from tools.reference.table import MADE, first_paragraph, table

import corral
from corral import errors
from corral.errors import CorralError

_HEAD = f"""{MADE}

# Errors

All of them inherit from `CorralError`, so one `except` takes them all; who catches an error of the second
column catches the first with it. They are in `corral.errors`, those marked with * also in `corral` itself.
"""


def text() -> str:
    parts = [_HEAD]
    for section, classes in groupby(_classes(), key=lambda row: row[0]):
        rows = [
            (
                f"`{each.__name__}`{' *' if each.__name__ in corral.__all__ else ''}",
                " → ".join(f"`{base.__name__}`" for base in _above(each)),
                first_paragraph(inspect.getdoc(each)),
            )
            for _, each in classes
        ]
        parts.append(f"\n## {section}\n\n" + table(("error", "is a", "what it means, what to do"), rows))
    return "".join(parts)


def _classes() -> Iterator[tuple[str, type[CorralError]]]:
    """With the comment that they stand under."""
    source = inspect.getsource(errors)
    lines = source.splitlines()
    sections = [(number, line[2:]) for number, line in enumerate(lines, 1) if line.startswith("# ")]
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            under = [title for number, title in sections if number < node.lineno]
            yield (under[-1] if under else "All of them"), getattr(errors, node.name)


def _above(each: type[CorralError]) -> list[type]:
    return [
        base
        for base in each.__mro__[1:]
        if issubclass(base, CorralError | TimeoutError) and base is not CorralError
    ]
