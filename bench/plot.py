"""The ratios as one SVG that needs nothing else: a bar for each, from 1 to the ratio, on a logarithmic axis.

Green: the design's bound is met, red: missed, grey: for information. A dark tick stands at the bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import Any

from bench.scenario import Result, Target

WIDTH, LABELS, VALUES = 1000, 470, 70
ROW, HEADING, TOP, BOTTOM = 20, 30, 64, 28
#: The axis reaches at least so far to both sides.
LEAST, MOST = 0.5, 2.0
COLOURS = {True: "#2f855a", False: "#c53030", None: "#718096"}
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclass(frozen=True)
class Bar:
    label: str
    ratio: float
    bound: float | None
    met: bool | None


@dataclass(frozen=True)
class Axis:
    least: float
    most: float

    def x(self, ratio: float) -> float:
        share = math.log(ratio / self.least) / math.log(self.most / self.least)
        return LABELS + share * (WIDTH - LABELS - VALUES)


def as_svg(machine: dict[str, Any], results: list[Result]) -> str:
    groups = [(result.title, bars) for result in results if (bars := bars_of(result))]
    ratios = [bar.ratio for _, bars in groups for bar in bars]
    axis = Axis(min([LEAST, *ratios]) / 1.1, max([MOST, *ratios]) * 1.1)
    height = TOP + BOTTOM + sum(HEADING + ROW * len(bars) for _, bars in groups)
    where = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['server']}, "
        f"Python {machine['python']}, Node {machine['node']}"
    )
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    font = 'font-family="system-ui, sans-serif" font-size="12" fill="#1a202c"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font} role="img">',
        "<title>Corral beside its peers: ratios of medians</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(16, 24, "Corral beside its peers: ratios of medians", size=16, bold=True),
        text(16, 44, f"{where}. Of times, memory and round trips, less is better.", colour="#4a5568"),
    ]
    for tick in TICKS:
        if axis.least <= tick <= axis.most:
            x, colour = axis.x(tick), "#1a202c" if tick == 1 else "#e2e8f0"
            lines.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - BOTTOM}" stroke="{colour}"/>'
            )
            lines.append(text(x, height - BOTTOM + 16, f"{tick:g}", anchor="middle", colour="#4a5568"))
    y = TOP
    for title, bars in groups:
        lines.append(text(16, y + 19, title, bold=True))
        y += HEADING
        for bar in bars:
            lines += drawn(bar, axis, y)
            y += ROW
    return "\n".join([*lines, "</svg>"]) + "\n"


def bars_of(result: Result) -> list[Bar]:
    labels = {metric.key: metric.label for metric in result.scenario.metrics}
    found = []
    for target in result.scenario.targets:
        ratio = result.ratio(target)
        if ratio:
            label = f"{labels[target.metric]}: {target.ours} / {target.theirs}"
            found.append(Bar(label, ratio, bound(target), target.met(ratio)))
    return found


def bound(target: Target) -> float | None:
    return target.at_least if target.at_least is not None else target.at_most


def drawn(bar: Bar, axis: Axis, y: float) -> list[str]:
    one, end = axis.x(1), axis.x(bar.ratio)
    left, width, colour = min(one, end), max(1.0, abs(end - one)), COLOURS[bar.met]
    lines = [
        text(LABELS - 8, y + 14, bar.label, anchor="end"),
        f'<rect x="{left:.1f}" y="{y + 3}" width="{width:.1f}" height="{ROW - 6}" fill="{colour}"/>',
        text(max(one, end) + 6, y + 14, f"{bar.ratio:.2f}", bold=True),
    ]
    if bar.bound and axis.least <= bar.bound <= axis.most:
        x = axis.x(bar.bound)
        lines.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + ROW}" stroke="#1a202c" stroke-width="2"/>'
        )
    return lines


def text(
    x: float,
    y: float,
    content: str,
    *,
    size: int = 12,
    bold: bool = False,
    anchor: str = "start",
    colour: str = "#1a202c",
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{weight}>'
        f"{escape(content)}</text>"
    )
