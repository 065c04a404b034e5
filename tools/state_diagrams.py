"""A hook of mkdocs: state diagrams, written in the pages as Mermaid, become pictures when the site is built.

Mermaid itself is three megabytes of script that a browser would have to fetch; a state diagram is a few
dozen lines. Drawn are a column for each state and a row for each transition: no layout to go wrong, and the
label has room. GitHub draws the same source its own way.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

_FENCE = re.compile(r"^```mermaid\nstateDiagram-v2\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ARROW = re.compile(r"^\s*(\S+)\s*-->\s*([^\s:]+)\s*(?::\s*(.+?))?\s*$", re.MULTILINE)

_COLUMN, _ROW, _HEAD, _CHARACTER = 118, 34, 44, 6.1


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for each page."""
    return _FENCE.sub(lambda fence: drawn(fence[1]), markdown)


def drawn(source: str) -> str:
    """The diagram as an SVG element, in the page's own colours."""
    arrows = _ARROW.findall(source)
    states = list(dict.fromkeys(state for start, end, _ in arrows for state in (start, end)))
    x = {state: place * _COLUMN + _COLUMN // 2 for place, state in enumerate(states)}
    width, height = len(states) * _COLUMN, _HEAD + len(arrows) * _ROW + 10
    parts = []
    for state in states:
        name = "begin, end" if state == "[*]" else state
        parts.append(
            f'<line class="life" x1="{x[state]}" y1="30" x2="{x[state]}" y2="{height}"/>'
            f'<rect class="state" x="{x[state] - 54}" y="4" width="108" height="26" rx="6"/>'
            f'<text class="name" x="{x[state]}" y="21">{escape(name)}</text>'
        )
    for row, (start, end, label) in enumerate(arrows):
        y = _HEAD + row * _ROW + 20
        left = max(4, min(x[start] + 6, x[end] + 6, width - len(label) * _CHARACTER - 4))
        parts.append(
            f'<path class="arrow" d="M{x[start]} {y}H{x[end] + (-2 if x[end] > x[start] else 2)}"/>'
            f'<circle class="from" cx="{x[start]}" cy="{y}" r="3"/>'
            f'<path class="tip" d="{_tip(x[end], y, right=x[end] > x[start])}"/>'
            f'<text class="label" x="{left:g}" y="{y - 6}">{escape(label)}</text>'
        )
    said = "; ".join(f"{start} to {end}: {label}" for start, end, label in arrows)
    return (
        f'<svg class="states" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(said)}">'
        f"{''.join(parts)}</svg>"
    )


def _tip(x: int, y: int, *, right: bool) -> str:
    back = x - 8 if right else x + 8
    return f"M{x} {y}L{back} {y - 4}V{y + 4}Z"
