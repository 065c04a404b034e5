"""docs/reference/command-line.md: what `corral --help` knows, on one page."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from cyclopts import App
from tools.reference.table import MADE, cell, code, first_paragraph, table

from corral.cli import app

_HEAD = f"""{MADE}

# Command line

`corral COMMAND --help` says the same in the terminal. Results go to standard output, everything else to
standard error. Exit codes: 0 done, 1 it did not work out, 2 wrong use, 78 a configuration error. Commands
that are about a server take it from `REDIS_URL` and `REDIS_PASSWORD`.
"""

_PARAMETER = re.compile(r"^(\w+): (.*(?:\n(?!\w+: ).*)*)", re.MULTILINE)


def text() -> str:
    return _HEAD + "".join(_command(path, each) for path, each in _walk(app, ("corral",)))


def _walk(group: App, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], App]]:
    for name in group:
        if not name.startswith("-"):
            each = group[name]
            yield (*path, name), each
            yield from _walk(each, (*path, name))


def _command(path: tuple[str, ...], command: App) -> str:
    function = command.default_command
    level = "#" * len(path)
    if function is None:
        return f"\n{level} {' '.join(path)}\n\n{command.help}\n"
    docstring = inspect.getdoc(function) or ""
    before, _, parameters = docstring.partition("Parameters\n----------\n")
    words = {name: cell(said) for name, said in _PARAMETER.findall(parameters)}
    rows = [_row(argument, words) for argument in command.assemble_argument_collection()]
    rest = "\n\n".join(cell(part) for part in before.strip().split("\n\n"))
    shown = table(("parameter", "default", "meaning"), rows) if rows else ""
    return f"\n{level} {' '.join(path)}\n\n{rest or first_paragraph(docstring)}\n\n{shown}".rstrip() + "\n"


def _row(argument: Any, words: dict[str, str]) -> tuple[str, str, str]:
    field = argument.field_info
    positional = argument.index is not None
    name = field.names[0] if field.names else argument.name
    shown = name.lstrip("-").replace("-", "_").upper() if positional else " ".join(argument.names)
    default = field.default
    if default is inspect.Parameter.empty:
        given = "required" if field.kind is not inspect.Parameter.VAR_POSITIONAL else ""
    elif default is None or default == "":
        given = ""
    else:
        given = code(str(default).lower() if isinstance(default, bool) else str(default))
    word = words.get(field.name) or words.get(name.lstrip("-").replace("-", "_"), "")
    return f"`{shown}`", given, word
