"""Shows Corral's docstrings as they are meant: a line that begins with a name and a colon is a point.

An extension of griffe, which reads the code for mkdocstrings. Pages that a docstring names become links.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_POINT = re.compile(r"^(\w+(?:, \w+)*): (?=\S)")
_PAGE = re.compile(r"\bdocs/([\w/-]+)\.md\b")


class Docstrings(Extension):
    """Named in mkdocs.yml."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = readable(obj.docstring.value)


def readable(text: str) -> str:
    """The docstring as Markdown."""
    lines: list[str] = []
    in_list = False
    for line in text.splitlines():
        if point := _POINT.match(line):
            if not in_list:
                lines.append("")
            in_list = True
            lines.append(f"- **{point[1]}**: {line[point.end() :]}")
        else:
            in_list = in_list and line.startswith("    ")
            lines.append(line)
    return _PAGE.sub(r"[\1](../\1.md)", "\n".join(lines))
