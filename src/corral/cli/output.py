"""How commands speak: tables for people, one JSON document for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from corral.data import encode

# No emoji codes: "name:secret:role" is a form of ours.
console = Console(highlight=False, emoji=False)
errors = Console(stderr=True, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    sys.stdout.write(encode(value).decode() + "\n")


def print_fields(title: str, fields: Mapping[str, Any]) -> None:
    """One thing with its fields, a line each."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(name, _text(value))
    console.print(table)


def moment(epoch_seconds: float | None) -> str | None:
    """A time as people and programs both read it."""
    if epoch_seconds is None:
        return None
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds")


def second(epoch_seconds: float | None) -> str:
    """`moment` for a row of a table: to the second, in one piece; "" for none."""
    if epoch_seconds is None:
        return ""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else encode(value).decode()
