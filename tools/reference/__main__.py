"""Write the pages, or say which are old."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.reference import commands, errors, events, http, library, metrics, settings

FOLDER = Path(__file__).parents[2] / "docs" / "reference"

PAGES = {
    "settings.md": settings.text,
    "command-line.md": commands.text,
    "http.md": http.text,
    "metrics.md": metrics.text,
    "events.md": events.text,
    "errors.md": errors.text,
    "library.md": library.text,
}


def main() -> int:
    old = []
    for name, text in PAGES.items():
        page, wanted = FOLDER / name, text()
        if page.exists() and page.read_text() == wanted:
            continue
        if "--check" in sys.argv:
            old.append(name)
        else:
            page.write_text(wanted)
    if old:
        print(f"old: {', '.join(old)}. Write them anew: .venv/bin/python -m tools.reference", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
