"""Writes what `.env.example` says of each setting into the package, for the dashboard's page of settings."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "src" / "corral" / "manage" / "settings_docs.json"

_HEADING = re.compile(r"^# --- (?P<title>[^:]+?)(: (?P<pages>.+?))? -+$")
_SETTING = re.compile(r"^# (?P<name>[A-Z][A-Z0-9_]*)=")


def read(example: str) -> dict[str, dict[str, str]]:
    """By name: the group, and the lines before the setting as one text."""
    found: dict[str, dict[str, str]] = {}
    group, lines = "", list[str]()
    for line in example.splitlines():
        if heading := _HEADING.match(line):
            group, lines = heading["title"], []
        elif setting := _SETTING.match(line):
            found[setting["name"]] = {"group": group, "doc": " ".join(lines)}
            lines = []
        elif line.startswith("# "):
            lines.append(line.removeprefix("# "))
        else:
            lines = []
    return found


def text() -> str:
    return json.dumps(read((ROOT / ".env.example").read_text()), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
