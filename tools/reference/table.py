"""A Markdown table, and text that may stand in its cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: What the head of each page says of its making; `make docs` holds it to that.
MADE = "<!-- Made from the code by `python -m tools.reference`. Do not edit. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def cell(text: str) -> str:
    """One line, with no bar that would end the cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    return f"`{cell(text)}`" if text else ""


def first_paragraph(docstring: str | None) -> str:
    return cell((docstring or "").strip().split("\n\n")[0])
