"""A run as one SVG that needs nothing else: added and done each second, faults as bands, memory. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import floor

from bench.plot import text
from bench.soak.conductor import Outcome
from bench.soak.ledger import Trouble
from bench.soak.plan import FaultKind

WIDTH, LEFT, RIGHT = 1000, 100, 30
RATE_TOP, RATE_HEIGHT = 60, 200
LANE = 16
MEMORY_HEIGHT = 120

#: A row of bands for each of these, in this order.
_ROWS = (
    ("Redis", "#c53030", [kind for kind in FaultKind if kind.startswith(("Redis", "master"))]),
    ("worker killed", "#744210", [FaultKind.WORKER_KILL]),
    ("worker frozen", "#2b6cb0", [FaultKind.WORKER_FREEZE]),
    ("worker cut off", "#6b46c1", [FaultKind.WORKER_CUT]),
    ("worker stopped", "#718096", [FaultKind.WORKER_STOP]),
    ("API", "#b7791f", [FaultKind.API_RESTART, FaultKind.API_KILL]),
    ("producer", "#97266d", [FaultKind.PRODUCER_CUT, FaultKind.CLOCK]),
    ("deploy", "#2c7a7b", [FaultKind.DEPLOY]),
)
_GREY = "#4a5568"


def as_svg(outcome: Outcome) -> str:
    seconds = max(1.0, outcome.drained - outcome.started)
    rows_top = RATE_TOP + RATE_HEIGHT + 30
    memory_top = rows_top + LANE * len(_ROWS) + 30
    height = memory_top + MEMORY_HEIGHT + 40
    options = outcome.options
    title = f"Soak, seed {options.seed}: jobs a second, faults, memory"
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(16, 24, title, size=16, bold=True),
        text(16, 44, f"{outcome.world}, {outcome.server}", colour=_GREY),
    ]
    axis = Axis(outcome.started, seconds)
    lines += _bands(outcome.book.troubles, axis, rows_top)
    lines += _rates(outcome, axis)
    lines += _memory(outcome, axis, memory_top)
    step = next(step for step in (10, 20, 30, 60, 120, 300, 600, 3600) if seconds / step <= 12)
    for tick in range(0, int(seconds) + 1, step):
        lines.append(
            text(axis.x(outcome.started + tick), height - 12, f"{tick} s", anchor="middle", colour=_GREY)
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


class Axis:
    """Where a moment stands."""

    def __init__(self, start: float, seconds: float) -> None:
        self._start = start
        self._seconds = seconds

    def x(self, at: float) -> float:
        share = min(1.0, max(0.0, (at - self._start) / self._seconds))
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def _bands(troubles: Iterable[Trouble], axis: Axis, top: int) -> list[str]:
    troubles = tuple(troubles)
    lines = []
    for row, (label, colour, kinds) in enumerate(_ROWS):
        y = top + row * LANE
        lines.append(text(LEFT - 6, y + 11, label, size=9, anchor="end", colour=_GREY))
        lines.append(_line(LEFT, y + 7, WIDTH - RIGHT, y + 7, "#e2e8f0"))
        for trouble in troubles:
            if trouble.kind in kinds:
                left = axis.x(trouble.began)
                width = max(2.0, axis.x(trouble.ended) - left)
                lines.append(
                    f'<rect x="{left:.1f}" y="{y}" width="{width:.1f}" height="{LANE - 3}" fill="{colour}">'
                    f"<title>{trouble.kind}: {trouble.ended - trouble.began:.1f} s</title></rect>"
                )
                if row == 0:
                    lines.append(
                        f'<rect x="{left:.1f}" y="{RATE_TOP}" width="{width:.1f}" height="{RATE_HEIGHT}" '
                        f'fill="{colour}" opacity="0.12"/>'
                    )
    return lines


def _rates(outcome: Outcome, axis: Axis) -> list[str]:
    book, start = outcome.book, outcome.started
    done = Counter(floor((run.ended or run.began) - start) for run in book.effects)
    added = Counter(floor(answer.at - start) for answer in book.answers if answer.job is not None)
    last = int(outcome.drained - start)
    most = max(1, *(counts[second] for counts in (done, added) for second in range(last + 1)))
    lines = [
        _line(LEFT, RATE_TOP + RATE_HEIGHT, WIDTH - RIGHT, RATE_TOP + RATE_HEIGHT, "#1a202c"),
        text(LEFT - 6, RATE_TOP + 10, str(most), size=10, anchor="end", colour=_GREY),
        text(LEFT - 6, RATE_TOP + RATE_HEIGHT, "0", size=10, anchor="end", colour=_GREY),
        text(WIDTH - RIGHT, RATE_TOP - 6, "done", size=11, anchor="end", colour="#2f855a"),
        text(WIDTH - RIGHT - 40, RATE_TOP - 6, "added", size=11, anchor="end", colour="#718096"),
    ]
    for counts, colour in ((added, "#718096"), (done, "#2f855a")):
        points = [
            (axis.x(start + second), RATE_TOP + RATE_HEIGHT * (1 - counts[second] / most))
            for second in range(last + 1)
        ]
        lines.append(_path(points, colour))
    return lines


def _memory(outcome: Outcome, axis: Axis, top: int) -> list[str]:
    lines = [_line(LEFT, top + MEMORY_HEIGHT, WIDTH - RIGHT, top + MEMORY_HEIGHT, "#1a202c")]
    most = max((size for _, _, size in outcome.book.memory), default=1)
    lines.append(text(LEFT - 6, top + 10, f"{most / 2**20:.0f} MiB", size=10, anchor="end", colour=_GREY))
    colours = {"workers, each": "#2b6cb0", "API": "#b7791f", "Redis": "#c53030"}
    for place, (what, colour) in enumerate(colours.items()):
        points = [
            (axis.x(at), top + MEMORY_HEIGHT * (1 - size / most))
            for at, name, size in outcome.book.memory
            if name == what
        ]
        lines.append(_path(points, colour))
        lines.append(text(WIDTH - RIGHT - 100 * place, top - 6, what, size=11, anchor="end", colour=colour))
    return lines


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _path(points: Sequence[tuple[float, float]], colour: str) -> str:
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
