"""Where the pixels go: pure arithmetic on sides, in pixels, of upright pictures.

Rules: the aspect ratio is kept; nothing is enlarged unless asked. A cover crop of a source that is too
small keeps the *shape* that was asked for at the largest size the source has (a 300 x 100 source asked
for 200 x 200 gives 100 x 100), so a square avatar stays square.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from corral.imaging.plan import Size


class Sides(NamedTuple):
    width: int
    height: int

    @property
    def longest(self) -> int:
        return max(self)

    def turned(self) -> Sides:
        return Sides(self.height, self.width)


@dataclass(frozen=True, slots=True)
class Placement:
    """How one size comes about: reduce the source to `stage`, cut `crop` out, enlarge that to `out`.

    `stage` is never larger than the source, so the memory a stage takes is bounded by the source; the
    crop comes before any enlarging, so what is enlarged is bounded by `out`.
    """

    stage: Sides
    crop: Sides
    out: Sides


def place(source: Sides, size: Size) -> Placement:
    """Where `size` is taken from an upright source."""
    if size.fit == "contain":
        scale = min(size.width / source.width, size.height / source.height)
        if scale >= 1:
            out = _scaled(source, scale) if size.enlarge else source
            return Placement(source, source, out)
        stage = _scaled(source, scale)
        return Placement(stage, stage, stage)

    target = Sides(size.width, size.height)
    scale = max(target.width / source.width, target.height / source.height)
    if scale <= 1:
        stage = _scaled(source, scale)
        stage = Sides(max(stage.width, target.width), max(stage.height, target.height))
        return Placement(stage, target, target)
    largest = min(source.width / target.width, source.height / target.height)
    crop = Sides(
        min(source.width, max(1, round(target.width * largest))),
        min(source.height, max(1, round(target.height * largest))),
    )
    return Placement(source, crop, target if size.enlarge else crop)


def _scaled(sides: Sides, scale: float) -> Sides:
    return Sides(max(1, round(sides.width * scale)), max(1, round(sides.height * scale)))


def parents(stages: Iterable[Sides]) -> dict[Sides, Sides | None]:
    """Each distinct stage, largest first, with the stage it is reduced from (None: from the source).

    A stage is taken from the smallest other that is at least twice as large: a Lanczos reduction by two
    or more leaves no trace of where its input came from, and reads a fraction of the pixels.
    """
    ordered = sorted(set(stages), key=lambda s: (s.width * s.height, s), reverse=True)
    return {
        stage: min(
            (other for other in ordered if other.longest >= 2 * stage.longest),
            key=lambda s: s.longest,
            default=None,
        )
        for stage in ordered
    }


def shrink_on_load(source: Sides, largest: Sides, margin: float) -> int:
    """The 1/2, 1/4 or 1/8 decode (returned as 2, 4 or 8) that a JPEG decoder does nearly for free.

    margin: by how much the decoded picture must still be larger than the largest stage. The decoder
    averages blocks of pixels; the more reduction is left to the Lanczos filter, the less of that shows.
    """
    factor = min(source.width / largest.width, source.height / largest.height)
    return next((step for step in (8, 4, 2) if factor >= step * margin), 1)


def block_shrink(base: Sides, largest: Sides) -> int:
    """The whole-number averaging that still leaves the base twice as large as the largest stage."""
    return max(1, int(base.longest / (2 * largest.longest)))
