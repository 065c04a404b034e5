"""The fenced blocks of a documentation page, and what a test is to do with each.

A comment on the line before a fence says it; readers do not see it:

    <!-- test: run -->                     run it; it must end with 0
    <!-- test: run; prints: text -->       and print this
    <!-- test: run; exits: 1 -->           and end with this
    <!-- test: background -->              start it, and end it after the page's last block
    <!-- test: up -->                      `corral up` on free ports instead; the page's ports are replaced
    <!-- test: pytest -->                  a test file
    <!-- test: needs flask; run -->        only where that package is installed, else reported as skipped
    <!-- test: no; the reason -->          not run: Python is compiled all the same

Without one, a block whose first line names a file (`# reports.py`) is written to that file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(
    r"(?:^[ ]*<!-- test: (?P<test>.+?) -->\n)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_NAMED = re.compile(r"^(?:#|//) (?P<file>[\w/]+\.(?:py|mjs|ts))\b")

RUNNABLE = ("python", "sh", "bash", "js")


@dataclass(frozen=True)
class Block:
    """A fenced block. line: where its fence is. file: the name that its first line gives."""

    language: str
    text: str
    line: int
    verb: str | None = None
    reason: str = ""
    needs: str | None = None
    prints: str | None = None
    exits: int = 0
    file: str | None = None


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks, in order. Raises ValueError for a comment that is none of those above."""
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        indent = len(match["indent"])
        body = "".join(line[indent:] or "\n" for line in match["text"].splitlines(keepends=True))
        line = text.count("\n", 0, match.start("indent")) + 1
        named = _NAMED.match(body)
        block = Block(match["language"], body, line, file=named["file"] if named else None)
        found.append(_told(block, match["test"]) if match["test"] else block)
    return found


def _told(block: Block, comment: str) -> Block:
    given = dict(block.__dict__)
    parts = [part.strip() for part in comment.split(";")]
    if parts[0] == "no":
        if len(parts) < 2 or not parts[1]:
            raise ValueError(f"line {block.line}: a block that is not run needs a reason.")
        return Block(**{**given, "verb": "no", "reason": "; ".join(parts[1:])})
    for part in parts:
        if part in ("run", "background", "up", "pytest"):
            given["verb"] = part
        elif part.startswith("needs "):
            given["needs"] = part.removeprefix("needs ")
        elif part.startswith("prints: "):
            given["prints"] = part.removeprefix("prints: ")
        elif part.startswith("exits: "):
            given["exits"] = int(part.removeprefix("exits: "))
        else:
            raise ValueError(f"line {block.line}: {part!r} is nothing that a test can do.")
    return Block(**given)
