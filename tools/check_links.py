"""Check the links in README, CHANGELOG, CONTRIBUTING and docs/: each file is there, each heading is there.

    .venv/bin/python tools/check_links.py      # exit 1 and a line for each broken link

Links to other hosts are not followed: the check needs no network.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_AT_THE_TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def main() -> int:
    pages = [p for p in (ROOT / name for name in _AT_THE_TOP) if p.exists()]
    pages += sorted((ROOT / "docs").rglob("*.md"))
    broken = [line for page in pages for line in broken_links(page)]
    for line in broken:
        print(line, file=sys.stderr)
    print(f"{len(pages)} pages, {len(broken)} broken links")
    return 1 if broken else 0


def broken_links(page: Path) -> Iterator[str]:
    text = _FENCE.sub("", page.read_text())
    for target in _LINK.findall(_CODE.sub("", text)):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists():
            yield f"{page.relative_to(ROOT)}: {target}: no such file"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
            yield f"{page.relative_to(ROOT)}: {target}: no such heading"


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        slug = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


if __name__ == "__main__":
    sys.exit(main())
